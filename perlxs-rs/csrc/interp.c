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
    const char *name;
    SV **out;
};

/* Some names die (`$*` and `$#`, since perl 5.30), or warn. */
static void S_variable(pTHX_ void *arg)
{
    const struct variable *const v = (const struct variable *)arg;
    *v->out = SvREFCNT_inc_simple_NN(get_sv(v->name, GV_ADDMULTI));
}

int perlxs_variable(perlxs_interp *interp, const char *name, SV **out, SV **error)
{
    dINTERP;
    struct variable v;

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
