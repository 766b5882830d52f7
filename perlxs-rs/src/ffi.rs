//! `csrc/shim.h`, mirrored in its order. Nothing else of perl is declared anywhere.

#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_long, c_void};

/// perl's scalar, or another thing with a reference count (`SV`).
#[repr(C)]
pub struct Sv {
    _opaque: [u8; 0],
}

/// perl's code value (`CV`).
#[repr(C)]
pub struct Cv {
    _opaque: [u8; 0],
}

/// Signals that a call has blocked.
#[repr(C)]
pub struct Blocked {
    _opaque: [u8; 0],
}

/// Where the shim notes how the interpreter stood.
#[cfg(feature = "process")]
#[repr(C)]
pub struct Shared {
    _opaque: [u8; 0],
}

/// The platform's `sigset_t`; only ever handed back to the shim.
#[repr(C)]
pub struct SigSet {
    _opaque: [u8; 0],
}

// ---- guard ----

/// An interpreter, to this library.
#[repr(C)]
pub struct Interp {
    /// Its `PerlInterpreter`; null once perl is done with it.
    pub perl: *mut c_void,
    pub call: *mut Call,
    pub mask: *const SigSet,
    pub lent: *mut c_void,
    pub places: usize,
    pub exposed: usize,
    pub guard: *mut c_void,
    pub guard_cv: *mut Cv,
    pub fault: *mut Call,
    pub late: i32,
    pub leaving: i32,
    pub next: *mut Interp,
}

pub const OK: c_int = 0;
pub const DIED: c_int = 1;
pub const EXIT: c_int = 2;

// ---- xsub ----

pub const VALUE_UNDEF: c_int = 0;
pub const VALUE_TRUE: c_int = 1;
pub const VALUE_FALSE: c_int = 2;
pub const VALUE_INT: c_int = 3;
pub const VALUE_UINT: c_int = 4;
pub const VALUE_NUM: c_int = 5;
pub const VALUE_BYTES: c_int = 6;
pub const VALUE_UTF8: c_int = 7;
pub const VALUE_SV: c_int = 9;
pub const VALUE_LIST: c_int = 10;

/// A value on its way to perl.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Value {
    pub kind: c_int,
    pub integer: i64,
    pub real: f64,
    pub p: *const c_char,
    pub len: usize,
    pub sv: *mut Sv,
}

#[repr(C)]
pub struct Call {
    pub args: *const *mut Sv,
    pub nargs: usize,
    pub held: *mut *mut Sv,
    pub outer: *mut Call,
    pub blocked: *mut Blocked,
    pub result: Value,
    pub error: *mut Sv,
    pub room: [*mut Sv; 6],
}

pub type Body = unsafe extern "C" fn(*mut Interp, *const Xsub, *mut Call) -> c_int;

#[repr(C)]
pub struct Xsub {
    pub name: *const c_char,
    pub params: *const c_char,
    pub prototype: *const c_char,
    pub body: Body,
    pub min_args: i32,
    pub max_args: i32,
}

pub const CONTEXT_SCALAR: c_int = 1;
pub const CONTEXT_LIST: c_int = 2;

unsafe extern "C" {
    pub fn perlxs_call_context(interp: *mut Interp) -> c_int;
    pub fn perlxs_call_return_string(
        interp: *mut Interp,
        call: *mut Call,
        p: *const c_char,
        len: usize,
        utf8: c_int,
    );
}

// ---- module ----

#[repr(C)]
pub struct Constant {
    pub name: *const c_char,
    pub value: u64,
    pub sv: *mut Sv,
}

#[repr(C)]
pub struct Module {
    pub package: *const c_char,
    pub version: *const c_char,
    pub xsubs: *const *const Xsub,
    pub nxsubs: usize,
    pub constants: *mut Constant,
    pub nconstants: usize,
    pub error: *mut Sv,
}

unsafe extern "C" {
    pub fn perlxs_interp_of(perl: *mut c_void, boot: *const c_char) -> *mut Interp;
    pub fn perlxs_boot(interp: *mut Interp, cv: *mut Cv, module: *const Module);
}

// ---- interp ----

pub const STACKS: usize = 7;

unsafe extern "C" {
    pub fn perlxs_sv_count(interp: *mut Interp) -> usize;
    pub fn perlxs_depths(interp: *mut Interp, out: *mut usize);
    pub fn perlxs_variable(
        interp: *mut Interp,
        kind: c_int,
        name: *const c_char,
        out: *mut *mut Sv,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_eval(
        interp: *mut Interp,
        text: *mut Sv,
        out: *mut *mut Sv,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_warn(
        interp: *mut Interp,
        category: *const c_char,
        text: *mut Sv,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_load_module(
        interp: *mut Interp,
        name: *const c_char,
        len: usize,
        error: *mut *mut Sv,
    ) -> c_int;
}

// ---- scalar ----

pub const NUMBER_INT: c_int = 1;
pub const NUMBER_UINT: c_int = 2;
pub const NUMBER_FLOAT: c_int = 3;
pub const NUMBER_NONE: c_int = 4;

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Number {
    pub kind: c_int,
    pub integer: i64,
    pub real: f64,
}

unsafe extern "C" {
    pub fn perlxs_sv_new(interp: *mut Interp, value: *const Value) -> *mut Sv;
    pub fn perlxs_sv_inc(interp: *mut Interp, sv: *mut Sv) -> *mut Sv;
    pub fn perlxs_sv_dec(interp: *mut Interp, sv: *mut Sv);
    pub fn perlxs_sv_is_undef_constant(interp: *mut Interp, sv: *mut Sv) -> c_int;
    pub fn perlxs_sv_assignable(
        interp: *mut Interp,
        sv: *mut Sv,
        out: *mut c_int,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_sv_number(
        interp: *mut Interp,
        sv: *mut Sv,
        out: *mut Number,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_sv_set(
        interp: *mut Interp,
        sv: *mut Sv,
        value: *mut Sv,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_sv_copy(
        interp: *mut Interp,
        sv: *mut Sv,
        out: *mut *mut Sv,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_sv_is_stringless(interp: *mut Interp, sv: *mut Sv) -> c_int;
    pub fn perlxs_sv_describe(interp: *mut Interp, sv: *mut Sv) -> *mut Sv;
}

pub const FORM_STRING: c_int = 9;
pub const FORM_REFERENCE: c_int = 10;
pub const FORM_GLOB: c_int = 11;

unsafe extern "C" {
    pub fn perlxs_sv_form(
        interp: *mut Interp,
        sv: *mut Sv,
        out: *mut Value,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_sv_as(
        interp: *mut Interp,
        sv: *mut Sv,
        kind: c_int,
        out: *mut Value,
        error: *mut *mut Sv,
    ) -> c_int;
}

// ---- bytes ----

pub const STRING_BYTES: c_int = 0;
pub const STRING_UTF8: c_int = 1;
pub const STRING_NAME: c_int = 2;

#[repr(C)]
pub struct String {
    pub p: *const c_char,
    pub len: usize,
    pub place: usize,
}

unsafe extern "C" {
    pub fn perlxs_sv_string(
        interp: *mut Interp,
        sv: *mut Sv,
        form: c_int,
        p: *mut *const c_char,
        len: *mut usize,
        owner: *mut *mut Sv,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_sv_borrow(
        interp: *mut Interp,
        sv: *mut Sv,
        form: c_int,
        out: *mut String,
        owner: *mut *mut Sv,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_give_back(interp: *mut Interp, place: usize);
}

// ---- handle ----

unsafe extern "C" {
    pub fn perlxs_sv_fileno(
        interp: *mut Interp,
        sv: *mut Sv,
        is_handle: *mut c_int,
        fd: *mut c_int,
        error: *mut *mut Sv,
    ) -> c_int;
}

// ---- code ----

pub const CALL_LIST: c_int = 1;
pub const CALL_METHOD: c_int = 2;

unsafe extern "C" {
    pub fn perlxs_sv_code(
        interp: *mut Interp,
        sv: *mut Sv,
        out: *mut *mut Sv,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_code_call(
        interp: *mut Interp,
        code: *mut Sv,
        how: c_int,
        args: *const *mut Sv,
        nargs: usize,
        out: *mut *mut Sv,
        error: *mut *mut Sv,
    ) -> c_int;
}

pub const LOOP_TRUTH: c_int = 1;
pub const LOOP_PAIRS: c_int = 2;
pub const LOOP_ARGUMENT: c_int = 4;

pub type Step = unsafe extern "C" fn(*mut c_void, *mut Sv, c_int, *mut *mut Sv) -> c_int;

unsafe extern "C" {
    pub fn perlxs_code_loop(
        interp: *mut Interp,
        code: *mut Sv,
        how: c_int,
        step: Step,
        context: *mut c_void,
        error: *mut *mut Sv,
    ) -> c_int;
}

// ---- reference ----

pub const KIND_NONE: c_int = 0;
pub const KIND_SCALAR: c_int = 1;
pub const KIND_ARRAY: c_int = 2;
pub const KIND_HASH: c_int = 3;
pub const KIND_CODE: c_int = 4;
pub const KIND_GLOB: c_int = 5;

pub const ASK_DEFINED: c_int = 0;
pub const ASK_TRUE: c_int = 1;
pub const ASK_KIND: c_int = 2;
pub const ASK_WEAK: c_int = 3;

unsafe extern "C" {
    pub fn perlxs_ref_new(interp: *mut Interp, referent: *mut Sv) -> *mut Sv;
    pub fn perlxs_sv_referent(interp: *mut Interp, sv: *mut Sv) -> *mut Sv;
    pub fn perlxs_sv_ask(
        interp: *mut Interp,
        sv: *mut Sv,
        question: c_int,
        out: *mut c_int,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_sv_class(
        interp: *mut Interp,
        sv: *mut Sv,
        out: *mut *mut Sv,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_sv_bless(
        interp: *mut Interp,
        sv: *mut Sv,
        class_name: *mut Sv,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_sv_weaken(interp: *mut Interp, sv: *mut Sv, error: *mut *mut Sv) -> c_int;
    pub fn perlxs_sv_deref(
        interp: *mut Interp,
        sv: *mut Sv,
        kind: c_int,
        out: *mut *mut Sv,
        error: *mut *mut Sv,
    ) -> c_int;
}

// ---- aggregate ----

pub const ITEMS_ARRAY: c_int = 0;
pub const ITEMS_HASH: c_int = 1;
pub const ITEMS_KEYS: c_int = 2;

unsafe extern "C" {
    pub fn perlxs_sv_items(
        interp: *mut Interp,
        sv: *mut Sv,
        kind: c_int,
        out: *mut *mut Sv,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_av_len(interp: *mut Interp, av: *mut Sv) -> usize;
    pub fn perlxs_av_get(interp: *mut Interp, av: *mut Sv, i: usize) -> *mut Sv;
    pub fn perlxs_collect(
        interp: *mut Interp,
        sv: *mut Sv,
        kind: c_int,
        out: *mut *mut Sv,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_clear(interp: *mut Interp, sv: *mut Sv, error: *mut *mut Sv) -> c_int;
}

// ---- array ----

unsafe extern "C" {
    pub fn perlxs_array_new(interp: *mut Interp, room: usize) -> *mut Sv;
    pub fn perlxs_array_append(interp: *mut Interp, av: *mut Sv, values: *const Value, n: usize);
    pub fn perlxs_array_numbers(
        interp: *mut Interp,
        av: *mut Sv,
        i: usize,
        out: *mut Number,
        n: usize,
    ) -> usize;
    pub fn perlxs_array_integers(
        interp: *mut Interp,
        av: *mut Sv,
        i: usize,
        out: *mut i64,
        n: usize,
    ) -> usize;
    pub fn perlxs_array_elements(
        interp: *mut Interp,
        av: *mut Sv,
        i: usize,
        out: *mut *mut Sv,
        n: usize,
    ) -> usize;
    pub fn perlxs_array_len(
        interp: *mut Interp,
        av: *mut Sv,
        out: *mut usize,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_array_get(
        interp: *mut Interp,
        av: *mut Sv,
        i: usize,
        out: *mut *mut Sv,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_array_set(
        interp: *mut Interp,
        av: *mut Sv,
        i: usize,
        value: *mut Sv,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_array_push(
        interp: *mut Interp,
        av: *mut Sv,
        value: *mut Sv,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_array_pop(
        interp: *mut Interp,
        av: *mut Sv,
        out: *mut *mut Sv,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_array_shift(
        interp: *mut Interp,
        av: *mut Sv,
        out: *mut *mut Sv,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_array_exists(
        interp: *mut Interp,
        av: *mut Sv,
        i: usize,
        out: *mut usize,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_array_delete(
        interp: *mut Interp,
        av: *mut Sv,
        i: usize,
        out: *mut *mut Sv,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_array_splice(
        interp: *mut Interp,
        av: *mut Sv,
        i: usize,
        len: usize,
        values: *const *mut Sv,
        n: usize,
        out: *mut *mut Sv,
        error: *mut *mut Sv,
    ) -> c_int;
}

// ---- hash ----

/// A key of a hash, and its value.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Entry {
    pub key: *const c_char,
    pub len: usize,
    pub utf8: c_int,
    pub value: Value,
}

/// A key of a hash and its value, owned.
#[repr(C)]
pub struct Pair {
    pub key: *const c_char,
    pub len: usize,
    pub value: *mut Sv,
    pub utf8: c_int,
}

/// Where a walk through a hash is.
#[repr(C)]
pub struct Place {
    pub entry: *mut c_void,
    pub waits: usize,
}

unsafe extern "C" {
    pub fn perlxs_hash_new(interp: *mut Interp) -> *mut Sv;
    pub fn perlxs_hash_append(interp: *mut Interp, hv: *mut Sv, entries: *const Entry, n: usize);
    pub fn perlxs_hash_next(
        interp: *mut Interp,
        hv: *mut Sv,
        place: *mut Place,
        pairs: *mut Pair,
        n: usize,
        room: *mut c_char,
        size: usize,
        got: *mut usize,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_hash_len(
        interp: *mut Interp,
        hv: *mut Sv,
        out: *mut usize,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_hash_get(
        interp: *mut Interp,
        hv: *mut Sv,
        key: *mut Sv,
        out: *mut *mut Sv,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_hash_set(
        interp: *mut Interp,
        hv: *mut Sv,
        key: *mut Sv,
        value: *mut Sv,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_hash_exists(
        interp: *mut Interp,
        hv: *mut Sv,
        key: *mut Sv,
        out: *mut usize,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_hash_delete(
        interp: *mut Interp,
        hv: *mut Sv,
        key: *mut Sv,
        out: *mut *mut Sv,
        error: *mut *mut Sv,
    ) -> c_int;
}

// ---- object ----

#[repr(C)]
pub struct Payload {
    pub drop: unsafe extern "C" fn(*mut Interp, *mut Payload) -> *mut Sv,
    pub interp: *mut Interp,
}

unsafe extern "C" {
    pub fn perlxs_object_new(
        interp: *mut Interp,
        class_name: *mut Sv,
        payload: *mut Payload,
        out: *mut *mut Sv,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_object_payload(
        interp: *mut Interp,
        sv: *mut Sv,
        out: *mut *mut Sv,
        payload: *mut *mut Payload,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_attach(
        interp: *mut Interp,
        sv: *mut Sv,
        payload: *mut Payload,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_attached(interp: *mut Interp, sv: *mut Sv, i: usize) -> *mut Payload;
}

// ---- closure ----

unsafe extern "C" {
    pub fn perlxs_closure_new(
        interp: *mut Interp,
        xsub: *const Xsub,
        payload: *mut Payload,
    ) -> *mut Sv;
}

// ---- taint ----

unsafe extern "C" {
    pub fn perlxs_taint_proper(
        interp: *mut Interp,
        what: *const c_char,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_taint_env(interp: *mut Interp, error: *mut *mut Sv) -> c_int;
}

// ---- syscall ----

unsafe extern "C" {
    pub fn perlxs_syscall(
        interp: *mut Interp,
        first: *const c_long,
        number_and_args: *const c_long,
        out: *mut c_long,
        err: *mut c_int,
        error: *mut *mut Sv,
    ) -> c_int;
    pub fn perlxs_signal_number(interp: *mut Interp, name: *const c_char, len: usize) -> c_int;
}

// ---- process ----

#[cfg(feature = "process")]
#[repr(C)]
pub struct Start {
    pub err: c_int,
    pub mask: *const SigSet,
    pub sv: *mut Sv,
    pub value: i64,
}

#[cfg(feature = "process")]
unsafe extern "C" {
    pub fn perlxs_call_block_signals(interp: *mut Interp, call: *mut Call);
    pub fn perlxs_call_signal_mask(interp: *mut Interp, call: *mut Call) -> *const SigSet;
    pub fn perlxs_before_exec(interp: *mut Interp);
    pub fn perlxs_flush_all(interp: *mut Interp, error: *mut *mut Sv) -> c_int;
    pub fn perlxs_fork_lock(interp: *mut Interp);
    pub fn perlxs_fork_unlock(interp: *mut Interp, in_copy: c_int);
    pub fn perlxs_fork(interp: *mut Interp) -> c_int;
    pub fn perlxs_forget_signals(interp: *mut Interp);
}

// ---- copy ----

#[cfg(feature = "process")]
unsafe extern "C" {
    pub fn perlxs_main_run(
        interp: *mut Interp,
        code: *mut Sv,
        start: *const Start,
        on_exit: Option<extern "C" fn()>,
        status: *mut c_int,
    ) -> c_int;
    pub fn perlxs_main_end(interp: *mut Interp) -> c_int;
}

// ---- guest ----

#[cfg(feature = "process")]
unsafe extern "C" {
    pub fn perlxs_shared_begin(interp: *mut Interp, shares_files: c_int) -> *mut Shared;
    pub fn perlxs_shared_run(
        interp: *mut Interp,
        shared: *mut Shared,
        code: *mut Sv,
        start: *const Start,
        stack_limit: *const std::ffi::c_void,
    ) -> c_int;
    pub fn perlxs_shared_end(interp: *mut Interp, shared: *mut Shared) -> c_int;
    pub fn perlxs_shared_unshare_files(interp: *mut Interp);
    pub fn perlxs_shared_is_nested(shared: *mut Shared) -> c_int;
    pub fn perlxs_shared_tid(shared: *mut Shared) -> *mut i32;
}
