/* SPDX-License-Identifier: Apache-2.0 */
#include "thanos/storeapi/pb.h"

#include "codec/proto.h"

size_t pb_size_of(const struct pb_field *f)
{
        switch (f->kind) {
        case PB_INT64:
        case PB_UINT64:
        case PB_SINT64:
        case PB_DOUBLE:
                return 8;
        case PB_INT32:
        case PB_UINT32:
        case PB_SINT32:
                return 4;
        case PB_BOOL:
                return sizeof(bool);
        case PB_STR:
                return sizeof(Str);
        case PB_MESSAGE:
        case PB_INLINE:
                return f->sub->size;
        }
        return 0;
}

/* The struct's own array has a typed pointer: it is read and written as bytes. */
static struct pb_array load_array(const void *at)
{
        struct pb_array array;
        memcpy(&array, at, sizeof array);
        return array;
}

static uint8_t wire_of(enum pb_kind k)
{
        return k == PB_DOUBLE ? 1 : k == PB_STR || k == PB_MESSAGE || k == PB_INLINE ? 2 : 0;
}

static const struct pb_field *field_find(const struct pb_message *m, uint32_t number, size_t *hint)
{
        for (size_t i = 0; i < m->n_fields; i++) { /* messages repeat the last field or go on to the next */
                size_t at = *hint + i < m->n_fields ? *hint + i : *hint + i - m->n_fields;
                if (m->fields[at].number == number) {
                        *hint = at;
                        return &m->fields[at];
                }
        }
        return NULL;
}

/* --- reading --- */

static struct error *broken(const struct pb_message *m)
{
        return error_new(ERROR_INVALID, "proto: %s: malformed message", m->name);
}

static struct error *wrong_wire(const struct pb_message *m, const struct pb_field *f, uint8_t wire)
{
        return error_new(ERROR_INVALID, "proto: wrong wireType = %d for field %s of %s", wire, f->name, m->name);
}

static struct error *full(const struct pb_message *m)
{
        return error_new(ERROR_LIMIT, "proto: %s: more memory than the limit", m->name);
}

/* bytes: values one after the other. */
static size_t packed_count(const struct pb_field *f, Str bytes)
{
        if (f->kind == PB_DOUBLE)
                return bytes.n / 8;
        size_t n = 0;
        for (size_t i = 0; i < bytes.n; i++)
                n += (uint8_t)bytes.p[i] < 0x80;
        return n;
}

static bool is_packed(const struct pb_field *f, uint8_t wire)
{
        return f->flags & PB_REPEATED && wire == 2 && wire_of(f->kind) != 2;
}

static void store_scalar(const struct pb_field *f, uint64_t u, void *to)
{
        int64_t s = f->kind == PB_SINT32 || f->kind == PB_SINT64 ? proto_sint(u) : (int64_t)u;
        int32_t s32 = (int32_t)(uint32_t)(uint64_t)s;
        bool b = u != 0;
        switch (f->kind) {
        case PB_INT32:
        case PB_UINT32:
        case PB_SINT32:
                memcpy(to, &s32, sizeof s32);
                break;
        case PB_BOOL:
                memcpy(to, &b, sizeof b);
                break;
        default: /* a double's bits as they are */
                memcpy(to, &s, sizeof s);
        }
}

/* Finds out how long the arrays become, and that all is well-formed at this level. */
static struct error *make_arrays(const struct pb_message *m, Str bytes, struct arena *a, void *ret)
{
        size_t counts[PB_FIELDS_MAX] = {0}, hint = 0;
        struct cursor c = cursor_of(bytes);
        struct proto_field p;
        while (proto_next(&c, &p)) {
                const struct pb_field *f = field_find(m, p.number, &hint);
                if (!f)
                        continue;
                if (is_packed(f, p.wire))
                        counts[f - m->fields] += packed_count(f, p.bytes);
                else if (p.wire != wire_of(f->kind))
                        return wrong_wire(m, f, p.wire);
                else
                        counts[f - m->fields]++;
        }
        if (c.bad)
                return broken(m);
        for (size_t i = 0; i < m->n_fields; i++) {
                const struct pb_field *f = &m->fields[i];
                if (!(f->flags & PB_REPEATED) || !counts[i])
                        continue;
                size_t bytes_n;
                if (__builtin_mul_overflow(counts[i], pb_size_of(f), &bytes_n))
                        return full(m);
                struct pb_array array = {arena_try_alloc(a, bytes_n), 0};
                if (!array.v)
                        return full(m);
                memset(array.v, 0, bytes_n);
                memcpy((char *)ret + f->offset, &array, sizeof array);
        }
        return NULL;
}

static struct error *decode(const struct pb_message *m, Str bytes, struct arena *a, int depth, void *ret);

static struct error *take_packed(const struct pb_message *m, const struct pb_field *f, Str bytes,
                                 struct pb_array *array)
{
        struct cursor c = cursor_of(bytes);
        size_t size = pb_size_of(f);
        if (f->kind == PB_DOUBLE && bytes.n % 8)
                return broken(m);
        while (cursor_left(&c)) {
                uint64_t u;
                if (f->kind == PB_DOUBLE)
                        memcpy(&u, take_str(&c, 8).p, 8);
                else
                        u = take_uvarint(&c);
                if (c.bad)
                        return broken(m);
                store_scalar(f, u, (char *)array->v + size * array->n++);
        }
        return NULL;
}

static struct error *take(const struct pb_message *m, const struct pb_field *f, const struct proto_field *p,
                          struct arena *a, int depth, void *ret)
{
        void *to = (char *)ret + f->offset;
        if (f->flags & PB_REPEATED) {
                struct pb_array array = load_array(to);
                if (is_packed(f, p->wire)) {
                        struct error *e = take_packed(m, f, p->bytes, &array);
                        memcpy(to, &array, sizeof array);
                        return e;
                }
                void *element = (char *)array.v + pb_size_of(f) * array.n++;
                memcpy(to, &array, sizeof array);
                to = element;
        } else if (f->kind == PB_MESSAGE || (f->flags & PB_PRESENT && f->kind != PB_STR)) {
                void *value = arena_try_alloc(a, pb_size_of(f));
                if (!value)
                        return full(m);
                memcpy(to, &value, sizeof value);
                to = value;
        }
        switch (f->kind) {
        case PB_STR: {
                Str s = p->bytes.p ? p->bytes : STR("");
                memcpy(to, &s, sizeof s);
                return NULL;
        }
        case PB_MESSAGE:
        case PB_INLINE:
                memset(to, 0, f->sub->size);
                return decode(f->sub, p->bytes, a, depth + 1, to);
        default:
                store_scalar(f, p->u, to);
                return NULL;
        }
}

static struct error *decode(const struct pb_message *m, Str bytes, struct arena *a, int depth, void *ret)
{
        if (depth > PB_DEPTH_MAX)
                return error_new(ERROR_INVALID, "proto: %s: nested too deeply", m->name);
        struct error *e = make_arrays(m, bytes, a, ret);
        if (e)
                return e;
        size_t hint = 0;
        struct cursor c = cursor_of(bytes);
        struct proto_field p;
        while (!e && proto_next(&c, &p)) {
                const struct pb_field *f = field_find(m, p.number, &hint);
                if (f)
                        e = take(m, f, &p, a, depth, ret);
        }
        return e;
}

struct error *pb_decode(const struct pb_message *m, Str bytes, struct arena *a, void *ret)
{
        memset(ret, 0, m->size);
        return bytes.n ? decode(m, bytes, a, 0, ret) : NULL;
}

/* --- writing --- */

static void put_key(struct buf *out, uint32_t number, uint8_t wire)
{
        buf_put_uvarint(out, (uint64_t)number << 3 | wire);
}

static uint64_t load_scalar(const struct pb_field *f, const void *from)
{
        int64_t v = 0;
        int32_t v32;
        uint32_t u32;
        bool b;
        switch (f->kind) {
        case PB_INT32:
        case PB_SINT32:
                memcpy(&v32, from, sizeof v32);
                v = v32;
                break;
        case PB_UINT32:
                memcpy(&u32, from, sizeof u32);
                v = u32;
                break;
        case PB_BOOL:
                memcpy(&b, from, sizeof b);
                v = b;
                break;
        default:
                memcpy(&v, from, sizeof v);
        }
        if (f->kind == PB_SINT32 || f->kind == PB_SINT64)
                return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
        return (uint64_t)v;
}

static void put_scalar(struct buf *out, const struct pb_field *f, uint64_t u)
{
        if (f->kind == PB_DOUBLE)
                buf_append(out, &u, sizeof u);
        else
                buf_put_uvarint(out, u);
}

static void put_value(struct buf *out, const struct pb_field *f, const void *v)
{
        if (f->kind == PB_STR) {
                proto_put_bytes_always(out, f->number, *(const Str *)v);
        } else if (f->kind == PB_MESSAGE || f->kind == PB_INLINE) {
                size_t at = proto_begin(out, f->number);
                pb_encode(f->sub, v, out);
                proto_end(out, at);
        } else {
                put_key(out, f->number, wire_of(f->kind));
                put_scalar(out, f, load_scalar(f, v));
        }
}

static void put_array(struct buf *out, const struct pb_field *f, struct pb_array array)
{
        size_t size = pb_size_of(f), at = 0;
        bool packed = wire_of(f->kind) != 2;
        if (!array.n)
                return;
        if (packed)
                at = proto_begin(out, f->number);
        for (size_t i = 0; i < array.n; i++) {
                const void *v = (const char *)array.v + size * i;
                if (packed)
                        put_scalar(out, f, load_scalar(f, v));
                else
                        put_value(out, f, v);
        }
        if (packed)
                proto_end(out, at);
}

void pb_encode(const struct pb_message *m, const void *v, struct buf *out)
{
        for (size_t i = 0; i < m->n_fields; i++) {
                const struct pb_field *f = &m->fields[i];
                const void *at = (const char *)v + f->offset;
                if (f->flags & PB_REPEATED) {
                        put_array(out, f, load_array(at));
                } else if (f->kind == PB_STR) {
                        const Str *s = at;
                        if (s->n || (f->flags & PB_PRESENT && s->p))
                                put_value(out, f, s);
                } else if (f->kind == PB_INLINE) {
                        put_value(out, f, at);
                } else if (f->kind == PB_MESSAGE || f->flags & PB_PRESENT) {
                        const void *value;
                        memcpy(&value, at, sizeof value);
                        if (value)
                                put_value(out, f, value);
                } else if (load_scalar(f, at)) {
                        put_value(out, f, at);
                }
        }
}
