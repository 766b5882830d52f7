/* The interpreter: its stacks, its variables, its modules. */

size_t perlxs_sv_count(perlxs_interp *interp)
{
    dINTERP;
    return (size_t)PL_sv_count;
}

void perlxs_depths(perlxs_interp *interp, size_t *out)
{
    dINTERP;
    const PERL_SI *si;

    out[0] = 0;
    for (si = PL_curstackinfo; si->si_prev; si = si->si_prev)
        out[0]++;
    out[1] = (size_t)(cxstack_ix + 1);
    out[2] = (size_t)(PL_stack_sp - PL_stack_base);
    out[3] = (size_t)(PL_markstack_ptr - PL_markstack);
    out[4] = (size_t)PL_scopestack_ix;
    out[5] = (size_t)PL_savestack_ix;
    out[6] = (size_t)(PL_tmps_ix + 1);
}

struct variable {
    int kind;
    const char *name;
    SV **out;
};

/* Some names die (`$*` and `$#`, since perl 5.30), or warn. */
static void S_variable(pTHX_ void *arg)
{
    const struct variable *const v = (const struct variable *)arg;
    SV *found;

    switch (v->kind) {
    case PERLXS_KIND_ARRAY:
        found = (SV *)get_av(v->name, GV_ADDMULTI);
        break;
    case PERLXS_KIND_HASH:
        found = (SV *)get_hv(v->name, GV_ADDMULTI);
        break;
    case PERLXS_KIND_CODE:
        found = (SV *)get_cv(v->name, 0);
        /* one that is only declared cannot be called */
        if (found && !CvISXSUB((CV *)found) && !CvROOT((CV *)found))
            found = NULL;
        break;
    default:
        found = get_sv(v->name, GV_ADDMULTI);
    }
    *v->out = SvREFCNT_inc(found);
}

int perlxs_variable(perlxs_interp *interp, int kind, const char *name, SV **out, SV **error)
{
    dINTERP;
    struct variable v;

    v.kind = kind;
    v.name = name;
    v.out = out;
    return S_guard(aTHX_ S_variable, &v, error);
}

struct name {
    const char *name;
    size_t len;
};

static void S_load_module(pTHX_ void *arg)
{
    const struct name *const n = (const struct name *)arg;
    load_module(PERL_LOADMOD_NOIMPORT, newSVpvn(n->name, n->len), NULL);
}

int perlxs_load_module(perlxs_interp *interp, const char *name, size_t len, SV **error)
{
    dINTERP;
    struct name n;

    n.name = name;
    n.len = len;
    return S_guard(aTHX_ S_load_module, &n, error);
}

struct eval {
    SV *text;
    SV **out;
};

static void S_eval(pTHX_ void *arg)
{
    const struct eval *const e = (const struct eval *)arg;
    SV *result;
    SV *thrown;

    eval_sv(e->text, G_SCALAR);
    result = sv_mortalcopy(*PL_stack_sp);
    PL_stack_sp--;
    thrown = ERRSV;
    if (SvROK(thrown) || SvTRUE(thrown))
        croak_sv(sv_mortalcopy(thrown));
    *e->out = SvREFCNT_inc_simple_NN(result);
}

int perlxs_eval(perlxs_interp *interp, SV *text, SV **out, SV **error)
{
    dINTERP;
    struct eval e;

    e.text = text;
    e.out = out;
    *out = NULL;
    return S_guard(aTHX_ S_eval, &e, error);
}

struct warning {
    const char *category;
    SV *text;
};

/* The number that perl has for a category, which only warnings.pm knows by its name. */
static U32 S_category(pTHX_ const char *name)
{
    HV *offsets;
    SV **offset;

    load_module(PERL_LOADMOD_NOIMPORT, newSVpvs("warnings"), NULL);
    offsets = get_hv("warnings::Offsets", 0);
    offset = offsets ? hv_fetch(offsets, name, (I32)strlen(name), 0) : NULL;
    /* those that modules register come after perl's own */
    if (!offset || SvUV(*offset) >= 8 * WARNsize)
        croak("'%s' is no category of perl's warnings", name);
    return (U32)(SvUV(*offset) / 2);
}

static void S_warn(pTHX_ void *arg)
{
    const struct warning *const w = (const struct warning *)arg;

    if (w->category)
        Perl_ck_warner(aTHX_ packWARN(S_category(aTHX_ w->category)), "%" SVf, SVfARG(w->text));
    else
        warn_sv(w->text);
}

int perlxs_warn(perlxs_interp *interp, const char *category, SV *text, SV **error)
{
    dINTERP;
    struct warning w;

    w.category = category;
    w.text = text;
    return S_guard(aTHX_ S_warn, &w, error);
}
