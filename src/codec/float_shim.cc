/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/float_shim.h"

#include <dragonbox/dragonbox.h>
#include <fast_float/fast_float.h>

void float_shim_shortest(double v, uint64_t *ret_digits, int *ret_exponent)
{
        auto d = jkj::dragonbox::to_decimal(v, jkj::dragonbox::policy::sign::ignore);
        *ret_digits = d.significand;
        *ret_exponent = d.exponent;
}

bool float_shim_parse(const char *p, size_t n, double *ret)
{
        auto r = fast_float::from_chars(p, p + n, *ret);
        return (r.ec == std::errc() || r.ec == std::errc::result_out_of_range) && r.ptr == p + n;
}
