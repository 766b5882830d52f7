/* A module: its XSUBs and its constants, when perl loads it. */

struct boot {
    CV *cv;
    SV *const *args;
    I32 items;
    const perlxs_module *module;
};

static void S_boot(pTHX_ void *arg)
{
    const struct boot *const b = (const struct boot *)arg;
    const perlxs_module *const m = b->module;
    CV *const cv = b->cv;
    const STRLEN version_len = strlen(m->version);
    HV *stash;
    size_t i;
    I32 n;
    dSP;
#ifdef MULTIPLICITY
    const U32 key = HS_KEYp(sizeof(PerlInterpreter), TRUE, FALSE, FALSE,
                            sizeof("v" PERL_API_VERSION_STRING) - 1, version_len);
#else
    const U32 key = HS_KEYp(sizeof(struct PerlHandShakeInterpreter), FALSE, FALSE, FALSE,
                            sizeof("v" PERL_API_VERSION_STRING) - 1, version_len);
#endif

    PERL_UNUSED_VAR(cv);
    /* it looks for the arguments on the stack */
    EXTEND(SP, b->items);
    for (n = 0; n < b->items; n++)
        PUSHs(b->args[n]);
    PUTBACK;
    Perl_xs_handshake(key, HS_CXT, m->package, b->items, (I32)(SP - PL_stack_base) - b->items + 1,
                      "v" PERL_API_VERSION_STRING, m->version);
    PL_stack_sp -= b->items;
    for (i = 0; i < m->nxsubs; i++) {
        const perlxs_xsub *const x = m->xsubs[i];
        CV *const xsub = newXS_flags(x->name, S_entry, m->package, x->prototype, 0);

        CvXSUBANY(xsub).any_ptr = (void *)x;
    }
    stash = gv_stashpv(m->package, GV_ADD);
    for (i = 0; i < m->nconstants; i++) {
        perlxs_constant *const c = &m->constants[i];
        SV *const value = c->sv ? c->sv : newSVuv((UV)c->value);
        const STRLEN len = strlen(c->name);

        c->sv = NULL;

        /* As constant.pm does it: a reference in the symbol table, of which perl makes the sub
         * when it needs one; most constants are never needed. */
        if (hv_exists(stash, c->name, len))
            newCONSTSUB(stash, c->name, value);
        else {
            SvREADONLY_on(value);
            (void)hv_store(stash, c->name, len, newRV_noinc(value), 0);
        }
    }
    mro_method_changed_in(stash);
}

static void S_throw(pTHX_ void *error)
{
    croak_sv(sv_2mortal((SV *)error));
}

static void S_leave_boot(pTHX_ void *interp)
{
    S_leave(aTHX_ (perlxs_interp *)interp, ((perlxs_interp *)interp)->leaving);
}

/* Runs when a boot function of another perl's has returned to this one. perl's functions are called
 * alike in both, wherever their structs differ. */
static void S_refuse(pTHX_ void *boot)
{
    if (PL_revision != PERL_REVISION || PL_version != PERL_VERSION)
        Perl_croak(aTHX_ "%s was built for perl %d.%d, and this is perl %d.%d: build it again",
                   (const char *)boot, PERL_REVISION, PERL_VERSION, PL_revision, PL_version);
    Perl_croak(aTHX_ "%s was built for another perl %d.%d than this one: build it again",
               (const char *)boot, PERL_REVISION, PERL_VERSION);
}

/* perl's own check (perlapi: xs_handshake) reads perl's structs, and may end the process. Constants
 * tell as much. Of those that a perl without threads has not, the dynamic linker tells. */
static int S_is_of_this_perl(void)
{
#ifdef MULTIPLICITY
    if (PL_interp_size != sizeof(PerlInterpreter))
        return 0;
#endif
    return PL_revision == PERL_REVISION && PL_version == PERL_VERSION;
}

perlxs_interp *perlxs_interp_of(void *perl, const char *boot)
{
#ifdef MULTIPLICITY
    PerlInterpreter *const my_perl = (PerlInterpreter *)perl;
#endif
    perlxs_interp *interp;

    PERL_UNUSED_VAR(perl);
    if (!S_is_of_this_perl()) {
        SAVEDESTRUCTOR_X(S_refuse, (void *)boot);
        return NULL;
    }
    interp = S_find_interp((void *)THIS_PERL);
    if (!interp) {
#ifdef MULTIPLICITY
        ALLOCATING(MY_CXT_INIT);
#endif
        ALLOCATING(interp = S_new_interp(aTHX));
    }
    return interp;
}

void perlxs_boot(perlxs_interp *interp, CV *cv, const perlxs_module *m)
{
    dINTERP;
    dXSARGS;
    struct boot b;
    SV *error = NULL;
    int status;
    size_t i;

    b.cv = cv;
    b.args = &ST(0);
    b.items = items;
    b.module = m;
    status = PERLXS_DIED;
    if (m->error)
        error = m->error;
    else
        status = S_guard(aTHX_ S_boot, &b, &error);
    for (i = 0; status != PERLXS_OK && i < m->nconstants; i++)
        S_drop(aTHX_ interp, m->constants[i].sv);
    /* The caller is a Rust frame. pp_entersub leaves the scope it made for this XSUB when that
     * frame is gone: then it is thrown. */
    if (status == PERLXS_EXIT) {
        S_drop(aTHX_ interp, error);
        /* that scope is unwound, so it leaves this one; a value would be put on what is the
         * stack now */
        ALLOCATING(SPAGAIN; EXTEND(SP, ax + 1); ENTER; SAVEDESTRUCTOR_X(S_leave_boot, interp));
        return;
    }
    if (status == PERLXS_DIED)
        ALLOCATING(SAVEDESTRUCTOR_X(S_throw, error));
    if (items == 0)
        ALLOCATING(SPAGAIN; EXTEND(SP, 1));
    XSRETURN_YES;
}
