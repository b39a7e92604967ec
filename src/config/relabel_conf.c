/* SPDX-License-Identifier: Apache-2.0 */
#include "config/relabel_conf.h"

#include "config/build.h"

static const struct conf_field list_fields[] = {{"rules", CONF_LIST, 0, 0, &file_relabel_schema}};

static struct error *parse(Str text, enum relabel_conf_use use, struct relabel_conf *r)
{
        struct yaml *root;
        struct error *e = yaml_parse(text, &r->arena, &root);
        if (e || !root || yaml_is_null(root))
                return e;
        struct conf_decoder d;
        struct conf_list list = {0};
        conf_decoder_init(&d, &r->arena);
        e = conf_decode_value(&d, &list_fields[0], root, &list);
        struct error *types = conf_decoder_finish(&d);
        if (e)
                error_free(types);
        else
                e = types;
        if (!e)
                e = relabel_build(&r->arena, &list, /* utf8= */ true, &r->rules, &r->n);
        for (size_t i = 0; !e && use == RELABEL_CONF_SELECTOR && i < r->n; i++) {
                enum relabel_action a = r->rules[i].action;
                if (a != RELABEL_KEEP && a != RELABEL_DROP && a != RELABEL_HASHMOD)
                        return error_new(ERROR_INVALID, "unsupported relabel action: %s", relabel_action_name(a));
        }
        return e ? error_wrap(e, "parsing relabel configuration") : NULL;
}

struct error *relabel_conf_parse(Str yaml, enum relabel_conf_use use, struct relabel_conf *ret)
{
        struct relabel_conf r = {.n = 0};
        arena_init(&r.arena, 64 << 20);
        struct error *e = parse(yaml, use, &r);
        if (e) {
                relabel_conf_done(&r);
                return e;
        }
        *ret = r;
        return NULL;
}

void relabel_conf_done(struct relabel_conf *r)
{
        for (size_t i = 0; i < r->n; i++)
                relabel_rule_done((struct relabel_rule *)(uintptr_t)&r->rules[i]);
        arena_done(&r->arena);
        *r = (struct relabel_conf){.n = 0};
}
