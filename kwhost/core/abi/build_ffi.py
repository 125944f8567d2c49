"""Describes the cffi module `kwhost.core.abi._abi` from the monitor's own headers.

Run by CMake through `cffi-gen-src`, which takes the variable `ffi`. The names of the system calls
come from the monitor's table, so that Python shows what C counts.
"""

from pathlib import Path

from cffi import FFI

_BEGIN, _END = "/* cdef: begin */", "/* cdef: end */"
_header = Path(__file__).resolve().parents[2] / "monitor" / "abi" / "kw_abi.h"

_SOURCE = r"""
#include "abi/kw_abi.h"
#include <asm/unistd.h>

#define CALL(nr, name, ...) [nr] = #name,
#define REFUSE(nr, name, ...) [nr] = #name,
static const char *const call_names[KW_CALL_LIMIT] = {
#include "calls/table.def"
};

static const char *kw_call_name(uint32_t number) {
    return number < KW_CALL_LIMIT ? call_names[number] : 0;
}
"""

ffi = FFI()
ffi.cdef(_header.read_text(encoding="utf-8").split(_BEGIN, 1)[1].split(_END, 1)[0])
ffi.cdef("const char *kw_call_name(uint32_t number);")
ffi.set_source("kwhost.core.abi._abi", _SOURCE)
