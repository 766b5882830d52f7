/* The C side of perlxs: one small function for each perl macro or call that the
 * Rust side needs. src/ffi.rs mirrors this file in its order.
 *
 * Every function takes the interpreter first: the real one where perl was built
 * with MULTIPLICITY, ignored elsewhere. So Rust has one signature for all perls.
 *
 * Functions with an `error` may run perl code. They contain whatever that code throws
 * and return one of the PERLXS_* statuses. `*error`, NULL before, is then an owned SV for
 * PERLXS_DIED. For PERLXS_EXIT there may be one too, and in `*out` as well: a destructor
 * may exit when all else is done. The others never throw.
 */
#ifndef PERLXS_SHIM_H
#define PERLXS_SHIM_H

#define PERL_NO_GET_CONTEXT
#include "EXTERN.h"
#include "perl.h"
#include "XSUB.h"

#include <stdint.h>

typedef struct perlxs_call perlxs_call;

/* ---- guard ---- */

/* An interpreter, to this library. */
typedef struct perlxs_interp {
    void *perl;        /* its PerlInterpreter; NULL once perl is done with it */
    perlxs_call *call; /* the innermost, while Rust runs in it; NULL while perl does */
    const sigset_t *mask; /* the caller's signal mask, while a call has blocked all; or NULL */
    struct perlxs_lent *lent; /* strings, to Rust: as many places, some of them free */
    size_t places;
    size_t exposed; /* how many of them perl could change */
    void *guard;
    CV *guard_cv;
    perlxs_call *fault; /* the call that a fault's signal has come in */
    int32_t late;       /* a handler that is not deferred waits for the end of the call */
    int32_t leaving;    /* how perl is leaving this thread's frames (2: exit), or 0. Then its stacks
                         * are unwound: nothing of perl may run before it has been passed on */
    struct perlxs_interp *next;
} perlxs_interp;

#define PERLXS_OK 0   /* the call returned */
#define PERLXS_DIED 1 /* it died; the exception is in *error */
#define PERLXS_EXIT 2 /* it called exit: perl's stacks are unwound, only leaving is allowed */

/* ---- xsub ---- */

/* A value on its way to perl; what of the members holds depends on `kind`. */
#define PERLXS_VALUE_UNDEF 0
#define PERLXS_VALUE_TRUE 1
#define PERLXS_VALUE_FALSE 2
#define PERLXS_VALUE_INT 3
#define PERLXS_VALUE_UINT 4
#define PERLXS_VALUE_NUM 5
#define PERLXS_VALUE_BYTES 6 /* a string, `len` bytes at `p` */
#define PERLXS_VALUE_UTF8 7  /* the same, characters above 127 among them */
#define PERLXS_VALUE_DONE 8 /* for a result: `sv` is the target that perl has for it */
#define PERLXS_VALUE_SV 9   /* `sv`, owned */
#define PERLXS_VALUE_LIST 10 /* for a result: the elements of the AV `sv`; the last, as a scalar */
typedef struct perlxs_value {
    int kind;
    int64_t integer; /* the same bits are the unsigned one */
    double real;
    const char *p;
    size_t len;
    SV *sv;
} perlxs_value;

struct perlxs_blocked;
struct perlxs_call {
    SV *const *args; /* nargs scalars, the caller's own */
    size_t nargs;
    SV **held;           /* `args`, once they are held; or NULL */
    perlxs_call *outer;  /* what the interpreter had for `call` */
    struct perlxs_blocked *blocked; /* signals, by this call; or NULL */
    perlxs_value result;
    SV *error; /* owned, for PERLXS_DIED */
    SV *room[6];
};

typedef struct perlxs_xsub perlxs_xsub;
typedef int (*perlxs_body)(perlxs_interp *, const perlxs_xsub *, perlxs_call *);

struct perlxs_xsub {
    const char *name;      /* with its package */
    const char *params;    /* for the usage message */
    const char *prototype; /* or NULL */
    perlxs_body body;
    int32_t min_args;
    int32_t max_args; /* -1: no limit */
};

/* What the caller takes (perlapi: GIMME_V). */
#define PERLXS_CONTEXT_VOID 0
#define PERLXS_CONTEXT_SCALAR 1
#define PERLXS_CONTEXT_LIST 2
int perlxs_call_context(perlxs_interp *interp);
/* Puts a string into the target that perl has for the result. */
void perlxs_call_return_string(perlxs_interp *interp, perlxs_call *call, const char *p, size_t len,
                               int utf8);

/* ---- module ---- */

typedef struct perlxs_constant {
    const char *name; /* without package */
    uint64_t value;
    SV *sv; /* the value, owned, if it is no unsigned integer; else NULL */
} perlxs_constant;

typedef struct perlxs_module {
    const char *package;
    const char *version;
    const perlxs_xsub *const *xsubs;
    size_t nxsubs;
    perlxs_constant *constants; /* each `sv` is taken */
    size_t nconstants;
    SV *error; /* to be thrown instead, owned; or NULL */
} perlxs_module;

/* What stands for the interpreter `perl` here, that of a boot function's caller. NULL if perl is at
 * its end, or is another perl than the shim is compiled for: this is thrown once `boot`, which is
 * its name, has returned to perl. */
perlxs_interp *perlxs_interp_of(void *perl, const char *boot);
/* Checks perl's API and the module's version (perlapi: xs_handshake), then defines
 * what `m` lists. What goes wrong is thrown once the caller has returned to perl. */
void perlxs_boot(perlxs_interp *interp, CV *cv, const perlxs_module *m);

/* ---- interp ---- */

size_t perlxs_sv_count(perlxs_interp *interp);
/* How much is on perl's stacks: of stacks, contexts, values, marks, scopes, saves, temporaries. */
#define PERLXS_STACKS 7
void perlxs_depths(perlxs_interp *interp, size_t *out);
/* `*out`: the package variable of this name, or the sub, of the kind: PERLXS_KIND_SCALAR, ARRAY,
 * HASH, CODE; owned. A variable is made if there is none; a sub is NULL then. */
int perlxs_variable(perlxs_interp *interp, int kind, const char *name, SV **out, SV **error);
/* `*out`: what the text returns as a program, in scalar context; owned (perlapi: eval_sv). */
int perlxs_eval(perlxs_interp *interp, SV *text, SV **out, SV **error);
/* As perl's warn; with a category of warnings, as perl's own warnings of it. */
int perlxs_warn(perlxs_interp *interp, const char *category, SV *text, SV **error);
/* As perl's `require` of a module by its name (perlapi: load_module). */
int perlxs_load_module(perlxs_interp *interp, const char *name, size_t len, SV **error);

/* ---- scalar ---- */

SV *perlxs_sv_new(perlxs_interp *interp, const perlxs_value *value);
SV *perlxs_sv_inc(perlxs_interp *interp, SV *sv);
void perlxs_sv_dec(perlxs_interp *interp, SV *sv);
int perlxs_sv_is_undef_constant(perlxs_interp *interp, SV *sv);
/* `*out`: whether an assignment is not refused. Tries one, of its own value, where only that
 * tells. */
int perlxs_sv_assignable(perlxs_interp *interp, SV *sv, int *out, SV **error);

#define PERLXS_NUMBER_UNDEF 0
#define PERLXS_NUMBER_INT 1
#define PERLXS_NUMBER_UINT 2 /* only above INT64_MAX */
#define PERLXS_NUMBER_FLOAT 3
#define PERLXS_NUMBER_NONE 4 /* neither a number nor a string that looks like one */

typedef struct perlxs_number {
    int kind;
    int64_t integer;
    double real;
} perlxs_number;

int perlxs_sv_number(perlxs_interp *interp, SV *sv, perlxs_number *out, SV **error);

int perlxs_sv_set(perlxs_interp *interp, SV *sv, SV *value, SV **error);

/* `*out` is an owned scalar with the same value: magic is read, once; overloading is not asked. */
int perlxs_sv_copy(perlxs_interp *interp, SV *sv, SV **out, SV **error);
/* Whether it has no string of its own, by what it last held: a reference without overloading, or a
 * glob. */
int perlxs_sv_is_stringless(perlxs_interp *interp, SV *sv);
/* What `sv` is, for an error message; an owned plain string. Asks neither magic nor overloading. */
SV *perlxs_sv_describe(perlxs_interp *interp, SV *sv);

/* `*out`: the value as perl has it, without converting it: its kind, and a number. */
#define PERLXS_FORM_STRING 9
#define PERLXS_FORM_REFERENCE 10
#define PERLXS_FORM_GLOB 11
int perlxs_sv_form(perlxs_interp *interp, SV *sv, perlxs_value *out, SV **error);
/* `*out`: what perl makes of it where it wants a value of this kind, INT, UINT, NUM or SV: then an
 * owned string, or `sv` itself. */
int perlxs_sv_as(perlxs_interp *interp, SV *sv, int kind, perlxs_value *out, SV **error);

/* ---- bytes ---- */

#define PERLXS_STRING_BYTES 0 /* downgraded; a character above 255 is an error */
#define PERLXS_STRING_UTF8 1  /* upgraded */
#define PERLXS_STRING_NAME 2  /* as it is; NULL for what is no string: globs, references */

/* `*p`: the string, NULL for undef. It is that of `*owner`, owned, or if that is NULL that of `sv`:
 * then it is there until perl code runs, or something is assigned or freed. */
int perlxs_sv_string(perlxs_interp *interp, SV *sv, int form, const char **p, size_t *len,
                     SV **owner, SV **error);

/* The same, but that of `sv` is lent until perlxs_give_back of `place`: whatever becomes of the
 * scalar, the buffer stays as it is. */
typedef struct perlxs_string {
    const char *p;
    size_t len;
    size_t place;
} perlxs_string;
int perlxs_sv_borrow(perlxs_interp *interp, SV *sv, int form, perlxs_string *out, SV **owner,
                     SV **error);
void perlxs_give_back(perlxs_interp *interp, size_t place);

/* ---- handle ---- */

/* `*is_handle`: whether `sv` is or names a handle; then `*fd` is its descriptor or -1. */
int perlxs_sv_fileno(perlxs_interp *interp, SV *sv, int *is_handle, int *fd, SV **error);

/* ---- code ---- */

/* `*out` is an owned CV, or NULL if `sv` names or refers to no defined sub. */
int perlxs_sv_code(perlxs_interp *interp, SV *sv, SV **out, SV **error);
#define PERLXS_CALL_LIST 1   /* in list context; else in scalar context */
#define PERLXS_CALL_METHOD 2 /* `code` is the name of a method of the first argument */
/* Calls `code`; `*out` is an owned copy of what it returns: an AV for a list. */
int perlxs_code_call(perlxs_interp *interp, SV *code, int how, SV *const *args, size_t nargs,
                     SV **out, SV **error);

/* Calls `code` without arguments, in scalar context, within one guard, as often as `step` gives
 * values: one, which is $_, or two, which are $a and $b. `step` runs between, with what the code
 * returned, good until then; NULL at first. It gives values that live until it is called again, and
 * returns 0 when there are no more. It throws nothing, and leaves nothing that needs to be dropped
 * where the code dies. */
#define PERLXS_LOOP_TRUTH 1 /* `is_true` is whether the result is */
#define PERLXS_LOOP_PAIRS 2
#define PERLXS_LOOP_ARGUMENT 4 /* one, which is not $_ but an argument */
typedef int (*perlxs_step)(void *context, SV *result, int is_true, SV **items);
int perlxs_code_loop(perlxs_interp *interp, SV *code, int how, perlxs_step step, void *context,
                     SV **error);

/* ---- reference ---- */

SV *perlxs_ref_new(perlxs_interp *interp, SV *referent);
/* The scalar that `sv` is a reference to, owned; NULL if it is none, or to an object. */
SV *perlxs_sv_referent(perlxs_interp *interp, SV *sv);

/* What a scalar refers to. */
#define PERLXS_KIND_NONE 0
#define PERLXS_KIND_SCALAR 1
#define PERLXS_KIND_ARRAY 2
#define PERLXS_KIND_HASH 3
#define PERLXS_KIND_CODE 4
#define PERLXS_KIND_GLOB 5
#define PERLXS_KIND_OTHER 6

#define PERLXS_ASK_DEFINED 0
#define PERLXS_ASK_TRUE 1
#define PERLXS_ASK_KIND 2
#define PERLXS_ASK_WEAK 3
int perlxs_sv_ask(perlxs_interp *interp, SV *sv, int question, int *out, SV **error);
/* `*out`: the class of the object that `sv` refers to, owned; or NULL. */
int perlxs_sv_class(perlxs_interp *interp, SV *sv, SV **out, SV **error);
/* perl's bless, and Scalar::Util's weaken; of a reference. */
int perlxs_sv_bless(perlxs_interp *interp, SV *sv, SV *class_name, SV **error);
int perlxs_sv_weaken(perlxs_interp *interp, SV *sv, SV **error);
/* `*out`: what `sv` refers to, owned, if it is of this kind; else NULL. Overloading is asked. */
int perlxs_sv_deref(perlxs_interp *interp, SV *sv, int kind, SV **out, SV **error);

/* ---- aggregate ---- */

/* `*out`: an owned AV of what an array or hash that `sv` refers to holds: the elements themselves,
 * or each key and value in turn. NULL if `sv` refers to none, or to an object. */
#define PERLXS_ITEMS_ARRAY 0
#define PERLXS_ITEMS_HASH 1
#define PERLXS_ITEMS_KEYS 2 /* for perlxs_collect */
int perlxs_sv_items(perlxs_interp *interp, SV *sv, int kind, SV **out, SV **error);
size_t perlxs_av_len(perlxs_interp *interp, SV *av);
SV *perlxs_av_get(perlxs_interp *interp, SV *av, size_t i);

/* As perlxs_sv_items, of the array or hash itself. */
int perlxs_collect(perlxs_interp *interp, SV *sv, int kind, SV **out, SV **error);
int perlxs_clear(perlxs_interp *interp, SV *sv, SV **error);

/* ---- array ---- */

SV *perlxs_array_new(perlxs_interp *interp, size_t room);
/* Appends to one that nobody else has seen yet. */
void perlxs_array_append(perlxs_interp *interp, SV *av, const perlxs_value *values, size_t n);
/* What of the elements from `i` on, at most `n`, are read without running anything, as far as they
 * are one after the other; how many. */
size_t perlxs_array_numbers(perlxs_interp *interp, SV *av, size_t i, perlxs_number *out, size_t n);
/* Likewise those that perl has as integers that are int64_t. */
size_t perlxs_array_integers(perlxs_interp *interp, SV *av, size_t i, int64_t *out, size_t n);
/* Likewise the elements themselves, owned. */
size_t perlxs_array_elements(perlxs_interp *interp, SV *av, size_t i, SV **out, size_t n);

/* An `*out` that is an SV is owned, and NULL if there is no such element. Values are copied. */
int perlxs_array_len(perlxs_interp *interp, SV *av, size_t *out, SV **error);
int perlxs_array_get(perlxs_interp *interp, SV *av, size_t i, SV **out, SV **error);
int perlxs_array_set(perlxs_interp *interp, SV *av, size_t i, SV *value, SV **error);
int perlxs_array_push(perlxs_interp *interp, SV *av, SV *value, SV **error);
int perlxs_array_pop(perlxs_interp *interp, SV *av, SV **out, SV **error);
int perlxs_array_shift(perlxs_interp *interp, SV *av, SV **out, SV **error);
int perlxs_array_exists(perlxs_interp *interp, SV *av, size_t i, size_t *out, SV **error);
int perlxs_array_delete(perlxs_interp *interp, SV *av, size_t i, SV **out, SV **error);
/* Puts copies of `n` values in the place of `len` elements from `i` on, as far as there are so
 * many; `*out` is an owned AV of these. */
int perlxs_array_splice(perlxs_interp *interp, SV *av, size_t i, size_t len, SV *const *values,
                        size_t n, SV **out, SV **error);

/* ---- hash ---- */

SV *perlxs_hash_new(perlxs_interp *interp);
/* Keys of a hash, and their values. */
typedef struct perlxs_entry {
    const char *key;
    size_t len;
    int utf8; /* the key has characters above 127 */
    perlxs_value value;
} perlxs_entry;
/* Stores them in one that nobody else has seen yet; an SV is taken. */
void perlxs_hash_append(perlxs_interp *interp, SV *hv, const perlxs_entry *entries, size_t n);
/* A key of a hash and its value, owned. */
typedef struct perlxs_pair {
    const char *key;
    size_t len;
    SV *value;
    int utf8; /* the key has characters above 255 */
} perlxs_pair;
/* Where a walk through a hash is. */
typedef struct perlxs_place {
    void *entry;  /* NULL before the first, and after the last */
    size_t waits; /* if that one is next: the length of its key, and 1 */
} perlxs_place;
/* The next entries of a hash, at most `n`; `*got` is how many. The keys are in `room`. If there are
 * none but `place` is not at its end, `room` has less than that one's key. */
int perlxs_hash_next(perlxs_interp *interp, SV *hv, perlxs_place *place, perlxs_pair *pairs,
                     size_t n, char *room, size_t size, size_t *got, SV **error);
int perlxs_hash_len(perlxs_interp *interp, SV *hv, size_t *out, SV **error);
/* An `*out` that is an SV is owned, and NULL if there is no such key. Values are copied. */
int perlxs_hash_get(perlxs_interp *interp, SV *hv, SV *key, SV **out, SV **error);
int perlxs_hash_set(perlxs_interp *interp, SV *hv, SV *key, SV *value, SV **error);
int perlxs_hash_exists(perlxs_interp *interp, SV *hv, SV *key, size_t *out, SV **error);
int perlxs_hash_delete(perlxs_interp *interp, SV *hv, SV *key, SV **out, SV **error);

/* ---- object ---- */

/* What an object owns. `drop` frees it; the text of a panic, if there was one, is owned. */
typedef struct perlxs_payload {
    SV *(*drop)(perlxs_interp *interp, struct perlxs_payload *payload);
    perlxs_interp *interp; /* its owner's: perl's slot for that is gone before the last scalars */
} perlxs_payload;

/* `*out`: a new hash, an owned one, blessed into the class; it owns the payload then, and drops it
 * when perl frees it. */
int perlxs_object_new(perlxs_interp *interp, SV *class_name, perlxs_payload *payload, SV **out,
                      SV **error);
/* `*out`: what `sv` refers to, owned, if that was made by perlxs_object_new; else NULL. The payload
 * is NULL if it stays in another thread. */
int perlxs_object_payload(perlxs_interp *interp, SV *sv, SV **out, perlxs_payload **payload,
                          SV **error);

/* Hangs the payload on a scalar, which owns it then. If that dies, it is still the caller's. */
int perlxs_attach(perlxs_interp *interp, SV *sv, perlxs_payload *payload, SV **error);
/* The `i`th that has been hung on it; NULL if there are not so many, or in another thread. */
perlxs_payload *perlxs_attached(perlxs_interp *interp, SV *sv, size_t i);

/* ---- closure ---- */

/* A new anonymous XSUB, an owned CV: it owns the payload, of which `xsub` is a part, and drops it
 * when perl frees it. */
SV *perlxs_closure_new(perlxs_interp *interp, const perlxs_xsub *xsub, perlxs_payload *payload);

/* ---- taint ---- */

/* What taint mode says if something tainted has been read in this call (perlapi:
 * TAINT_PROPER), or if the environment is not to be trusted (perlapi: TAINT_ENV). */
int perlxs_taint_proper(perlxs_interp *interp, const char *what, SV **error);
int perlxs_taint_env(perlxs_interp *interp, SV **error);

/* ---- syscall ---- */

/* syscall(2) with the caller's signal mask. Handlers run meanwhile; after EINTR it is made
 * again. `*err` is errno after it. `first`, if not NULL, is made once before it, with that mask. */
int perlxs_syscall(perlxs_interp *interp, const long *first, const long *number_and_args,
                   long *out, int *err, SV **error);
/* The number of a signal by its name without SIG, or -1 (perlapi: whichsig_pvn). */
int perlxs_signal_number(perlxs_interp *interp, const char *name, size_t len);

#ifdef PERLXS_PROCESS

/* ---- process ---- */

/* Blocks all signals until the body has returned. perl code that runs meanwhile has the caller's
 * mask. */
void perlxs_call_block_signals(perlxs_interp *interp, perlxs_call *call);
/* That mask; NULL if signals are not blocked. */
const sigset_t *perlxs_call_signal_mask(perlxs_interp *interp, perlxs_call *call);
/* Gives SIGFPE, which perl ignores for itself, what it had before perl (perl.h, PERL_FPU_INIT). */
void perlxs_before_exec(perlxs_interp *interp);

int perlxs_flush_all(perlxs_interp *interp, SV **error);
/* perl's locks, for a copy of the process that is not made by fork(3), which runs nothing of the C
 * library's handlers (pthread_atfork). */
void perlxs_fork_lock(perlxs_interp *interp);
void perlxs_fork_unlock(perlxs_interp *interp, int in_copy);
/* fork(3), as perl's own; perlxs_fork_unlock is the copy's to call, as of any other. */
pid_t perlxs_fork(perlxs_interp *interp);
void perlxs_forget_signals(perlxs_interp *interp);

/* What a new process starts with: `$!`, the signal mask (or NULL), and what is assigned to `sv`
 * (or NULL) before its code runs; what that throws counts as the code's. */
typedef struct perlxs_start {
    int err;
    const sigset_t *mask;
    SV *sv;
    int64_t value;
} perlxs_start;

/* ---- copy ---- */

/* Runs `code` as the main program of this process, which must be a copy that nobody
 * returns into. PERLXS_OK: it returned, `*status` is the exit status that its value asks for.
 * PERLXS_EXIT: it exited or died (and perl has reported that); `on_exit`, if not NULL, has run
 * after the code's own scopes and before those of the copied callers. */
int perlxs_main_run(perlxs_interp *interp, SV *code, const perlxs_start *start,
                    void (*on_exit)(void), int *status);
/* END blocks and global destruction. Returns the exit status. */
int perlxs_main_end(perlxs_interp *interp);

/* ---- guest ---- */

/* For a process that shares this one's memory, while this one sleeps. `begin` notes where the
 * interpreter stands; `run`, there, runs `code` on perl stacks of its own and returns the exit
 * status; `end`, here again, unwinds what is left of that wherever it stopped, puts the
 * interpreter back to where it stood, and frees `s`. PERLXS_EXIT: a destructor that was run by
 * this has exited.
 *
 * With a `mask`, `run` replaces the process's signal handlers by the default, and sets the mask;
 * without one the signals stay as they are. `shares_files`: it has this process's table of
 * descriptors, not one of its own. Below `stack_limit` the C stack is at its end. */
typedef struct perlxs_shared perlxs_shared;
perlxs_shared *perlxs_shared_begin(perlxs_interp *interp, int shares_files);
int perlxs_shared_run(perlxs_interp *interp, perlxs_shared *s, SV *code,
                      const perlxs_start *start, const void *stack_limit);
int perlxs_shared_end(perlxs_interp *interp, perlxs_shared *s);
/* This process is such a one, and has a table of descriptors of its own from now on. */
void perlxs_shared_unshare_files(perlxs_interp *interp);
/* Whether this process shares somebody's memory itself. */
int perlxs_shared_is_nested(perlxs_shared *s);
/* A word that the kernel must clear when the process lets go of the memory (CHILD_CLEARTID). */
int32_t *perlxs_shared_tid(perlxs_shared *s);

#endif /* PERLXS_PROCESS */

#endif
