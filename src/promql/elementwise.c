/* SPDX-License-Identifier: Apache-2.0 */
/* What turns one value into one value, whatever the series: math and date functions, clamp, round, unary minus, vector
 * against scalar. Upstream: simpleFloatFunc, dateWrapper, VectorscalarBinop */
#include <math.h>

#include "promql/eval.h"
#include "base/go_math.h"

static double f_sgn(double v)
{
        return v < 0 ? -1 : v > 0 ? 1 : v;
}

static double f_rad(double v)
{
        return v * M_PI / 180;
}

static double f_deg(double v)
{
        return v * 180 / M_PI;
}

static double f_negate(double v)
{
        return -v;
}

static double (*math_func(enum function_id f))(double)
{
        switch (f) {
        case FUNC_ABS:
                return fabs;
        case FUNC_CEIL:
                return ceil;
        case FUNC_FLOOR:
                return floor;
        case FUNC_EXP:
                return go_exp;
        case FUNC_SQRT:
                return sqrt;
        case FUNC_LN:
                return go_log;
        case FUNC_LOG2:
                return go_log2;
        case FUNC_LOG10:
                return go_log10;
        case FUNC_SIN:
                return go_sin;
        case FUNC_COS:
                return go_cos;
        case FUNC_TAN:
                return go_tan;
        case FUNC_ASIN:
                return go_asin;
        case FUNC_ACOS:
                return go_acos;
        case FUNC_ATAN:
                return go_atan;
        case FUNC_SINH:
                return go_sinh;
        case FUNC_COSH:
                return go_cosh;
        case FUNC_TANH:
                return go_tanh;
        case FUNC_ASINH:
                return go_asinh;
        case FUNC_ACOSH:
                return go_acosh;
        case FUNC_ATANH:
                return go_atanh;
        case FUNC_RAD:
                return f_rad;
        case FUNC_DEG:
                return f_deg;
        case FUNC_SGN:
                return f_sgn;
        default:
                return NULL;
        }
}

static bool is_date_func(enum function_id f)
{
        switch (f) {
        case FUNC_DAY_OF_MONTH:
        case FUNC_DAY_OF_WEEK:
        case FUNC_DAY_OF_YEAR:
        case FUNC_DAYS_IN_MONTH:
        case FUNC_HOUR:
        case FUNC_MINUTE:
        case FUNC_MONTH:
        case FUNC_YEAR:
                return true;
        default:
                return false;
        }
}

/* Go's int64(float64) on amd64: what does not fit becomes the smallest number. */
static int64_t go_int64(double v)
{
        return v >= -0x1p63 && v < 0x1p63 ? (int64_t)v : INT64_MIN;
}

/* Days since 1970 to year, month, day (proleptic Gregorian). Algorithm: Howard Hinnant, days from civil. */
static void civil_of(int64_t days, int64_t *ret_y, int *ret_m, int *ret_d)
{
        int64_t z = days + 719468;
        int64_t era = (z >= 0 ? z : z - 146096) / 146097;
        int64_t doe = z - era * 146097;
        int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
        int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
        *ret_d = (int)(doy - (153 * mp + 2) / 5 + 1);
        *ret_m = (int)(mp < 10 ? mp + 3 : mp - 9);
        *ret_y = yoe + era * 400 + (*ret_m <= 2);
}

double date_part(enum function_id f, double v)
{
        /* Go counts from a zero that lies so many seconds before 1970, in 64 bits without a sign: what is before that
         * comes out at the other end. */
        const int64_t zero = INT64_C(9223372028741760000);
        __int128 s = go_int64(v);
        if (s < -(__int128)zero)
                s += (__int128)1 << 64;
        int64_t days = (int64_t)(s / 86400), rest = (int64_t)(s % 86400);
        if (rest < 0) {
                rest += 86400;
                days--;
        }
        if (f == FUNC_HOUR)
                return (double)(rest / 3600);
        if (f == FUNC_MINUTE)
                return (double)(rest % 3600 / 60);
        if (f == FUNC_DAY_OF_WEEK)
                return (double)(((days + 4) % 7 + 7) % 7);
        int64_t y;
        int m, d;
        civil_of(days, &y, &m, &d);
        bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
        static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        switch (f) {
        case FUNC_YEAR:
                return (double)y;
        case FUNC_MONTH:
                return m;
        case FUNC_DAY_OF_MONTH:
                return d;
        case FUNC_DAYS_IN_MONTH:
                return length[m - 1] + (m == 2 && leap);
        default:
                break;
        }
        int n = d;
        for (int i = 0; i < m - 1; i++)
                n += length[i] + (i == 1 && leap);
        return n;
}

/* math.Max and math.Min: infinities win over NaN, and zeros have signs. */
static double go_max(double a, double b)
{
        if ((isinf(a) && a > 0) || (isinf(b) && b > 0))
                return INFINITY;
        if (isnan(a) || isnan(b))
                return go_nan();
        if (a == 0 && a == b)
                return signbit(a) ? b : a;
        return a > b ? a : b;
}

static double go_min(double a, double b)
{
        if ((isinf(a) && a < 0) || (isinf(b) && b < 0))
                return -INFINITY;
        if (isnan(a) || isnan(b))
                return go_nan();
        if (a == 0 && a == b)
                return signbit(a) ? a : b;
        return a < b ? a : b;
}

double scalar_binop(enum binary_op op, double l, double r)
{
        bool keep;
        double v = binary_float(op, l, r, &keep);
        return op_is_comparison(op) ? keep : v;
}

double binary_float(enum binary_op op, double l, double r, bool *ret_keep)
{
        *ret_keep = true;
        switch (op) {
        case OP_ADD:
                return l + r;
        case OP_SUB:
                return l - r;
        case OP_MUL:
                return l * r;
        case OP_DIV:
                return l / r;
        case OP_MOD:
                return fmod(l, r);
        case OP_POW:
                return go_pow(l, r);
        case OP_ATAN2:
                return go_atan2(l, r);
        case OP_EQ:
                *ret_keep = l == r;
                return l;
        case OP_NE:
                *ret_keep = l != r;
                return l;
        case OP_LT:
                *ret_keep = l < r;
                return l;
        case OP_LE:
                *ret_keep = l <= r;
                return l;
        case OP_GT:
                *ret_keep = l > r;
                return l;
        case OP_GE:
                *ret_keep = l >= r;
                return l;
        case OP_MIN_OF:
                return go_min(l, r);
        case OP_MAX_OF:
                return go_max(l, r);
        default:
                *ret_keep = false;
                return 0;
        }
}

static void apply_func(const struct row_op *op, double *v, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (!is_absent(v[i]))
                        v[i] = op->f(v[i]);
}

static void apply_date(const struct row_op *op, double *v, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (!is_absent(v[i]))
                        v[i] = date_part(op->func, v[i]);
}

static void apply_clamp(const struct row_op *op, double *v, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                double lo = op->func == FUNC_CLAMP_MAX ? -INFINITY : op->c1[i];
                double hi = op->func == FUNC_CLAMP ? op->c2[i] : op->func == FUNC_CLAMP_MAX ? op->c1[i] : INFINITY;
                if (is_absent(v[i]))
                        continue;
                v[i] = hi < lo ? absent() : go_max(lo, go_min(hi, v[i]));
        }
}

static void apply_round(const struct row_op *op, double *v, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (is_absent(v[i]))
                        continue;
                double inverse = 1.0 / (op->c1 ? op->c1[i] : 1.0);
                double scaled = v[i] * inverse;
                v[i] = floor(scaled + 0.5) / inverse;
        }
}

static void apply_step_time(const struct row_op *op, double *v, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (!is_absent(v[i]))
                        v[i] = (double)step_time(op->steps, i) / 1000;
}

static void apply_nothing_left(const struct row_op *op, double *v, size_t n)
{
        (void)op;
        for (size_t i = 0; i < n; i++)
                v[i] = absent();
}

static void apply_scalar(const struct row_op *op, double *v, size_t n)
{
        bool comparison = op_is_comparison(op->op);
        for (size_t i = 0; i < n; i++) {
                double x = v[i], c = op->c1[i];
                if (is_absent(x))
                        continue;
                bool keep;
                double r = op->swap ? binary_float(op->op, c, x, &keep) : binary_float(op->op, x, c, &keep);
                if (comparison) /* the vector's value, whichever side it is on */
                        r = x;
                if (op->return_bool)
                        v[i] = keep;
                else
                        v[i] = keep ? r : absent();
        }
}

bool is_histogram_only(enum function_id f)
{
        return f == FUNC_HISTOGRAM_AVG || f == FUNC_HISTOGRAM_COUNT || f == FUNC_HISTOGRAM_SUM ||
               f == FUNC_HISTOGRAM_STDDEV || f == FUNC_HISTOGRAM_STDVAR;
}

struct node *elementwise_child(struct node *n)
{
        if (n->type == EXPR_UNARY)
                return n->x->unary.child->value == VALUE_VECTOR && n->x->unary.negative ? n->a : NULL;
        if (n->type == EXPR_BINARY) {
                bool left = n->x->binary.lhs->value == VALUE_VECTOR, right = n->x->binary.rhs->value == VALUE_VECTOR;
                return left == right ? NULL : left ? n->a : n->b;
        }
        if (n->type != EXPR_CALL || n->n_args == 0)
                return NULL;
        enum function_id f = n->x->call.func->id;
        if (math_func(f) || is_date_func(f) || is_histogram_only(f) || f == FUNC_CLAMP || f == FUNC_CLAMP_MIN ||
            f == FUNC_CLAMP_MAX || f == FUNC_ROUND)
                return n->args[0];
        if (f == FUNC_TIMESTAMP || f == FUNC_START_TIMESTAMP)
                return n->args[0]->type == EXPR_SELECTOR && !n->args[0]->once ? NULL : n->args[0];
        return NULL;
}

struct error *elementwise_op(struct exec *q, const struct steps *st, struct node *n, struct row_op *ret)
{
        struct row_op op = {.steps = st, .drops_name = true, .pos = n->x->pos};
        double *c1 = NULL, *c2 = NULL;
        struct error *e = NULL;
        if (n->type == EXPR_UNARY) {
                op.apply = apply_func;
                op.f = f_negate;
                op.is_minus = true;
        } else if (n->type == EXPR_BINARY) {
                op.apply = apply_scalar;
                op.is_binary = true;
                op.op = n->x->binary.op;
                op.swap = n->x->binary.lhs->value != VALUE_VECTOR;
                op.return_bool = n->x->binary.return_bool;
                op.only_histograms = op.op == OP_TRIM_UPPER || op.op == OP_TRIM_LOWER;
                op.drops_name = op.return_bool || op.op <= OP_ATAN2;
                e = eval_scalar(q, st, op.swap ? n->a : n->b, &c1);
        } else {
                op.func = n->x->call.func->id;
                op.f = math_func(op.func);
                op.is_histogram_func = is_histogram_only(op.func);
                op.apply = op.f                                                            ? apply_func
                           : is_date_func(op.func)                                         ? apply_date
                           : op.func == FUNC_ROUND                                         ? apply_round
                           : op.func == FUNC_TIMESTAMP                                     ? apply_step_time
                           : is_histogram_only(op.func) || op.func == FUNC_START_TIMESTAMP ? apply_nothing_left
                                                                                           : apply_clamp;
                if (n->n_args > 1)
                        e = eval_scalar(q, st, n->args[1], &c1);
                if (!e && n->n_args > 2)
                        e = eval_scalar(q, st, n->args[2], &c2);
        }
        op.c1 = c1;
        op.c2 = c2;
        *ret = op;
        return e;
}

void elementwise_done(struct exec *q, struct row_op *op)
{
        column_free(q, (double *)op->c1);
        column_free(q, (double *)op->c2);
        op->c1 = op->c2 = NULL;
}
