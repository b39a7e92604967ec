/* SPDX-License-Identifier: Apache-2.0 */
/* go_math.h — mathematical functions with the last bit that Prometheus on amd64 gives: the C library rounds better, and its users would see other
 * digits. Only where the two differ; floor, sqrt, fmod and the like are exact in both.  Pure.
 * Methods: FreeBSD msun (log, log1p), Cephes (sin, cos, tan, atan, tanh), Hart & Cheney (sinh), Shibata's SLEEF (exp), Payne and Hanek. */
#ifndef BASE_GO_MATH_H
#define BASE_GO_MATH_H

double go_exp(double x);
double go_exp2(double x);
double go_log(double x);
double go_log2(double x);
double go_log10(double x);
double go_log1p(double x);
double go_pow(double x, double y);
double go_sin(double x);
double go_cos(double x);
double go_tan(double x);
double go_asin(double x);
double go_acos(double x);
double go_atan(double x);
double go_atan2(double y, double x);
double go_sinh(double x);
double go_cosh(double x);
double go_tanh(double x);
double go_asinh(double x);
double go_acosh(double x);
double go_atanh(double x);

#endif
