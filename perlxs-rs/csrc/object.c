/* Objects that own a Rust value. */

static void S_warn_of_drop(pTHX_ void *text)
{
    /* as perl tells what a DESTROY dies of */
    Perl_ck_warner(aTHX_ packWARN(WARN_MISC), "\t(in cleanup) %" SVf, SVfARG((SV *)text));
}

/* The object's last reference is gone, and its DESTROY, if it has one, has run. */
static int S_payload_free(pTHX_ SV *sv, MAGIC *mg)
{
    perlxs_payload *const payload = (perlxs_payload *)mg->mg_ptr;
    const int err = errno;
    perlxs_interp *interp;
    perlxs_call call;
    SV *panic;

    PERL_UNUSED_VAR(sv);
    if (!payload)
        return 0;
    interp = payload->interp; /* its perl may be at its end */
    mg->mg_ptr = NULL;
    S_begin_call(interp, &call, NULL, 0);
    panic = payload->drop(interp, payload);
    if (panic) {
        SV *error = NULL;

        /* later, the panic hook's report has to do */
        if (PL_phase != PERL_PHASE_DESTRUCT)
            S_guard(aTHX_ S_warn_of_drop, panic, &error);
        S_drop(aTHX_ interp, error);
        SvREFCNT_dec_NN(panic);
    }
    S_end_call(aTHX_ interp, &call);
    errno = err;
    if (interp->leaving)
        S_leave(aTHX_ interp, interp->leaving);
    if (interp->late)
        S_run_late(aTHX_ interp);
    return 0;
}

#ifdef USE_ITHREADS
/* A new thread gets copies of all objects; the value stays with the one it was made in. */
static int S_payload_dup(pTHX_ MAGIC *mg, CLONE_PARAMS *params)
{
    PERL_UNUSED_CONTEXT;
    PERL_UNUSED_VAR(params);
    mg->mg_ptr = NULL;
    return 0;
}
#else
#define S_payload_dup NULL
#endif

/* What `local` puts in its place for a while does not own the value, which would be freed twice. */
static int S_payload_local(pTHX_ SV *sv, MAGIC *mg)
{
    PERL_UNUSED_CONTEXT;
    PERL_UNUSED_VAR(sv);
    PERL_UNUSED_VAR(mg);
    return 0;
}

/* Its address is the mark that perl code cannot put on anything. */
static const MGVTBL S_payload = {NULL, NULL, NULL, NULL, S_payload_free, NULL, S_payload_dup,
                                 S_payload_local};

struct new_object {
    SV *class_name;
    perlxs_payload *payload;
    SV **out;
};

static SV *S_new_object(pTHX_ HV *stash, perlxs_payload *payload)
{
    SV *const object = (SV *)newHV();
    SV *const ref = newRV_noinc(object);
    MAGIC *mg;

    sv_bless(ref, stash);
    mg = sv_magicext(object, NULL, PERL_MAGIC_ext, &S_payload, (const char *)payload, 0);
    mg->mg_flags |= MGf_DUP | MGf_LOCAL;
    SvREFCNT_inc_simple_void_NN(object);
    SvREFCNT_dec_NN(ref);
    return object;
}

/* A class that is there, if to look for it and to bless into it runs nothing and throws nothing. */
static HV *S_plain_class(pTHX_ SV *name)
{
    HV *stash;

    if (!SvPOK(name) || !SvCUR(name) || SvMAGICAL(name) || SvROK(name))
        return NULL;
    stash = gv_stashpvn(SvPVX_const(name), SvCUR(name), SvUTF8(name) ? SVf_UTF8 : 0);
    return stash && !HvSTASH_IS_CLASS(stash) ? stash : NULL;
}

static void S_object_new(pTHX_ void *arg)
{
    struct new_object *const o = (struct new_object *)arg;
    *o->out = S_new_object(aTHX_ S_class_of(aTHX_ o->class_name, "an object"), o->payload);
}

int perlxs_object_new(perlxs_interp *interp, SV *class_name, perlxs_payload *payload, SV **out,
                      SV **error)
{
    dINTERP;
    struct new_object o;
    int status;
    HV *const stash = S_plain_class(aTHX_ class_name);

    if (LIKELY(stash != NULL)) {
        ALLOCATING(*out = S_new_object(aTHX_ stash, payload));
        return PERLXS_OK;
    }
    o.class_name = class_name;
    o.payload = payload;
    o.out = out;
    *out = NULL;
    status = S_guard(aTHX_ S_object_new, &o, error);
    /* a destructor that exited when all was done: the payload is still the caller's */
    if (status != PERLXS_OK && *out)
        mg_findext(*out, PERL_MAGIC_ext, &S_payload)->mg_ptr = NULL;
    return status;
}

struct payload {
    SV *sv;
    SV **out;
    perlxs_payload **payload;
};

static void S_object_payload(pTHX_ void *arg)
{
    struct payload *const o = (struct payload *)arg;
    SV *const sv = o->sv;

    SvGETMAGIC(sv);
    *o->out = NULL;
    *o->payload = NULL;
    if (SvROK(sv) && SvTYPE(SvRV(sv)) >= SVt_PVMG) {
        const MAGIC *mg = SvMAGIC(SvRV(sv));

        while (mg && mg->mg_virtual != &S_payload)
            mg = mg->mg_moremagic;
        if (mg) {
            *o->out = SvREFCNT_inc_simple_NN(SvRV(sv));
            *o->payload = (perlxs_payload *)mg->mg_ptr;
        }
    }
}

int perlxs_object_payload(perlxs_interp *interp, SV *sv, SV **out, perlxs_payload **payload,
                          SV **error)
{
    dINTERP;
    struct payload o;

    o.sv = sv;
    o.out = out;
    o.payload = payload;
    if (!SvGMAGICAL(sv)) {
        S_object_payload(aTHX_ &o); /* nothing to run */
        return PERLXS_OK;
    }
    return S_guard(aTHX_ S_object_payload, &o, error);
}

/* What is hung on any scalar. The magic counts as one that acts, or a `my` variable would keep it
 * from one run of its scope to the next (scope.c, SAVEt_CLEARSV). */
static int S_attached_clear(pTHX_ SV *sv, MAGIC *mg)
{
    PERL_UNUSED_CONTEXT;
    PERL_UNUSED_VAR(sv);
    PERL_UNUSED_VAR(mg);
    return 0;
}

static const MGVTBL S_attached = {NULL, NULL, NULL, S_attached_clear, S_payload_free, NULL,
                                  S_payload_dup, S_payload_local};

struct attach {
    SV *sv;
    perlxs_payload *payload;
    MAGIC *mg;
};

static void S_attach(pTHX_ void *arg)
{
    struct attach *const a = (struct attach *)arg;
    MAGIC *mg;

    if (SvREADONLY(a->sv) || isGV_with_GP(a->sv))
        croak("a value can only be attached to a variable");
    mg = sv_magicext(a->sv, NULL, PERL_MAGIC_ext, &S_attached, NULL, 0);
    mg->mg_ptr = (char *)a->payload;
    mg->mg_flags |= MGf_DUP | MGf_LOCAL;
    a->mg = mg;
}

int perlxs_attach(perlxs_interp *interp, SV *sv, perlxs_payload *payload, SV **error)
{
    dINTERP;
    struct attach a;
    int status;

    a.sv = sv;
    a.payload = payload;
    a.mg = NULL;
    status = S_guard(aTHX_ S_attach, &a, error);
    /* a destructor that exited when all was done */
    if (status != PERLXS_OK && a.mg)
        a.mg->mg_ptr = NULL;
    return status;
}

perlxs_payload *perlxs_attached(perlxs_interp *interp, SV *sv, size_t i)
{
    const MAGIC *mg;

    PERL_UNUSED_ARG(interp);
    if (SvTYPE(sv) < SVt_PVMG)
        return NULL;
    for (mg = SvMAGIC(sv); mg; mg = mg->mg_moremagic)
        if (mg->mg_virtual == &S_attached && mg->mg_ptr && i-- == 0)
            return (perlxs_payload *)mg->mg_ptr;
    return NULL;
}
