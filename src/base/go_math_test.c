/* SPDX-License-Identifier: Apache-2.0 */
#include "base/go_math.h"

#include <math.h>

#include "base/rand.h"
#include "base/test.h"

struct pin {
        double (*f)(double);
        double x, want;
};

static void check_pins(const struct pin *p, size_t n)
{
        for (size_t i = 0; i < n; i++)
                CHECK_F64(p[i].f(p[i].x), p[i].want);
}

/* What Prometheus 3.14 on amd64 answered to f(vector(x)), where the C library rounds the other way. */
TEST(go_math, gives_the_last_digit_of_go)
{
        static const struct pin pins[] = {
                {go_log, 718.469, 6.577122559146396},     {go_log, 745.548, 6.614119518449991},
                {go_log2, 5.001, 2.3222166050454858},     {go_log2, 143.604, 7.165952124867388},
                {go_log10, 44.408, 1.647461214323804},    {go_log10, 91.89, 1.963268251526235},
                {go_sin, -80.14, 0.9995682233914653},     {go_sin, 59.749, -0.058705809047705},
                {go_cos, 53.484, -0.9970427394437393},    {go_cos, 2.265, -0.6397736148072959},
                {go_tan, -78.651, -0.11164408066464439},  {go_tan, 86.912, -1.7538417055915914},
                {go_asin, -0.352, -0.35970699958495655},  {go_asin, -0.516, -0.542174660896183},
                {go_acos, -0.64, 2.2652945924214523},     {go_acos, 0.507, 1.0390956098391868},
                {go_atan, -2.994, -1.248444690523139},    {go_atan, -1.636, -1.0221480319396274},
                {go_asinh, 9.174, 2.912477880036038},     {go_asinh, -2.182, -1.5221866860088635},
                {go_acosh, 7.107, 2.6492406686015224},    {go_acosh, 6.678, 2.586312062822973},
                {go_atanh, -0.039, -0.03901979106446745}, {go_atanh, 0.039, 0.03901979106446745},
        };
        check_pins(pins, ARRAY_LEN(pins));
        CHECK_F64(go_atan2(2.51, -8.27), 2.8469218615340264);
        CHECK_F64(go_log2(8), 3);
        CHECK_F64(go_exp2(0.5), 1.414213562373095); /* the C library: …951 */
        CHECK_F64(go_exp2(-0.5), 0.7071067811865475);
        CHECK_F64(go_exp2(10), 1024);
        CHECK_F64(go_exp2(-1074), 4.9406564584124654e-324);
        CHECK_F64(go_exp2(2000), INFINITY);
        CHECK_F64(go_exp2(-INFINITY), 0);
        CHECK_F64(go_pow(10, 3), 1000);
        CHECK_F64(go_pow(-2, 3), -8);
}

/* Go's exp uses fused operations where the processor has them; so were these recorded. */
TEST(go_math, gives_the_last_digit_of_go_with_fused_operations)
{
#ifdef __x86_64__
        if (!__builtin_cpu_supports("fma"))
                test_skip("no FMA");
        static const struct pin pins[] = {
                {go_exp, -5.202, 0.005505542317696349},  {go_exp, -1.189, 0.30452563749211903},
                {go_sinh, -0.163, -0.16372275063693836}, {go_sinh, 0.173, 0.17386424511970447},
                {go_cosh, 2.189, 4.519155544522379},     {go_cosh, -2.677, 7.305086367894478},
                {go_tanh, -0.082, -0.08181670364476323}, {go_tanh, 1.097, 0.7994188269681071},
        };
        check_pins(pins, ARRAY_LEN(pins));
        CHECK_F64(go_pow(101.3, -4.21), 3.600677584127062e-09);
        CHECK_F64(go_pow(1.1, 55.3), 194.54294647415924);
        CHECK_F64(go_pow(1.01, 333.3), 27.56220012587209);
#else
        test_skip("no x86");
#endif
}

TEST(go_math, takes_what_is_no_ordinary_number)
{
        CHECK(isnan(go_log(-1)) && isnan(go_sin(INFINITY)) && isnan(go_asin(2)) && isnan(go_acosh(0.5)) &&
              isnan(go_atanh(2)));
        CHECK_F64(go_log(0), -INFINITY);
        CHECK_F64(go_exp(-INFINITY), 0);
        CHECK_F64(go_exp(1000), INFINITY);
        CHECK_F64(go_exp(-1000), 0);
        CHECK_F64(go_pow(NAN, 0), 1);
        CHECK_F64(go_pow(-0.0, -3), -INFINITY);
        CHECK_F64(go_pow(-1, INFINITY), 1);
        CHECK_F64(go_pow(0.5, -INFINITY), INFINITY);
        CHECK_F64(go_pow(-INFINITY, 3), -INFINITY);
        CHECK(isnan(go_pow(-8, 1.0 / 3)));
        CHECK_F64(go_atan2(-0.0, -1), -M_PI);
        CHECK_F64(go_atanh(1), INFINITY);
}

/* Within an ulp or three of the C library, over the whole range. */
TEST(go_math, stays_near_the_truth)
{
        static const struct {
                const char *name;
                double (*ours)(double), (*libm)(double);
                double from, to;
        } f[] = {{"exp", go_exp, exp, -745, 709},          {"log", go_log, log, 1e-300, 1e300},
                 {"log2", go_log2, log2, 1e-300, 1e300},   {"log1p", go_log1p, log1p, -0.999, 1e6},
                 {"sin", go_sin, sin, -1e9, 1e9},          {"cos", go_cos, cos, -1e9, 1e9},
                 {"tan", go_tan, tan, -1.5, 1.5},          {"atan", go_atan, atan, -1e3, 1e3},
                 {"asin", go_asin, asin, -1, 1},           {"sinh", go_sinh, sinh, -700, 700},
                 {"cosh", go_cosh, cosh, -700, 700},       {"tanh", go_tanh, tanh, -30, 30},
                 {"asinh", go_asinh, asinh, -1e9, 1e9},    {"acosh", go_acosh, acosh, 1, 1e9},
                 {"atanh", go_atanh, atanh, -0.999, 0.999}};
        struct rand r = {.s = 42};
        for (size_t i = 0; i < ARRAY_LEN(f); i++) {
                for (int k = 0; k < 2000; k++) {
                        double x = f[i].from +
                                   (f[i].to - f[i].from) * rand_unit(&r) * (k % 2 ? 1 : rand_unit(&r) * rand_unit(&r));
                        double a = f[i].ours(x), b = f[i].libm(x);
                        CHECK_MSG(fabs(a - b) <= 2e-15 * (1 + fabs(b)) || fabs(a - b) <= 1e-14 * fabs(b),
                                  "%s(%.17g) = %.17g, the library has %.17g", f[i].name, x, a, b);
                }
        }
}
