/* Arrays. */

/* An index that perl's would not take for one from the end. */
static SSize_t S_index(size_t i)
{
    return i > SSize_t_MAX ? SSize_t_MAX : (SSize_t)i;
}

static void S_array_len(pTHX_ void *arg)
{
    struct aggregate *const a = (struct aggregate *)arg;
    *a->number = (size_t)(av_len((AV *)a->sv) + 1);
}

int perlxs_array_len(perlxs_interp *interp, SV *av, size_t *out, SV **error)
{
    dINTERP;
    struct aggregate a;

    a.sv = av;
    a.number = out;
    if (!SvMAGICAL(av)) {
        S_array_len(aTHX_ &a);
        return PERLXS_OK;
    }
    return S_guard(aTHX_ S_array_len, &a, error);
}

static void S_array_get(pTHX_ void *arg)
{
    struct aggregate *const a = (struct aggregate *)arg;
    SV **const element = av_fetch((AV *)a->sv, S_index(a->i), 0);

    *a->out = element ? SvREFCNT_inc_NN(*element) : NULL;
}

int perlxs_array_get(perlxs_interp *interp, SV *av, size_t i, SV **out, SV **error)
{
    dINTERP;
    struct aggregate a;

    a.sv = av;
    a.i = i;
    a.out = out;
    if (!SvMAGICAL(av)) {
        S_array_get(aTHX_ &a);
        return PERLXS_OK;
    }
    return S_guard(aTHX_ S_array_get, &a, error);
}

static void S_array_set(pTHX_ void *arg)
{
    struct aggregate *const a = (struct aggregate *)arg;
    SV **const element = av_fetch((AV *)a->sv, S_index(a->i), 1);

    if (!element)
        croak("Modification of an array element that cannot be made");
    sv_setsv_mg(*element, a->value);
}

int perlxs_array_set(perlxs_interp *interp, SV *av, size_t i, SV *value, SV **error)
{
    dINTERP;
    struct aggregate a;

    a.sv = av;
    a.i = i;
    a.value = value;
    return S_guard(aTHX_ S_array_set, &a, error);
}

static void S_array_push(pTHX_ void *arg)
{
    struct aggregate *const a = (struct aggregate *)arg;
    AV *const av = (AV *)a->sv;
    SV *const value = sv_mortalcopy(a->value);

    /* a tied one takes no reference */
    av_push(av, SvRMAGICAL(av) && mg_find((SV *)av, PERL_MAGIC_tied)
                    ? value
                    : SvREFCNT_inc_simple_NN(value));
}

int perlxs_array_push(perlxs_interp *interp, SV *av, SV *value, SV **error)
{
    dINTERP;
    struct aggregate a;

    if (!SvMAGICAL(av) && !SvREADONLY(av) && !SvGMAGICAL(value)) { /* nothing to run */
        ALLOCATING(av_push((AV *)av, newSVsv(value)));
        return PERLXS_OK;
    }
    a.sv = av;
    a.value = value;
    return S_guard(aTHX_ S_array_push, &a, error);
}

static void S_array_pop(pTHX_ void *arg)
{
    struct aggregate *const a = (struct aggregate *)arg;
    AV *const av = (AV *)a->sv;

    if (av_len(av) < 0)
        *a->out = NULL;
    else
        *a->out = av_pop(av);
}

int perlxs_array_pop(perlxs_interp *interp, SV *av, SV **out, SV **error)
{
    dINTERP;
    struct aggregate a;

    a.sv = av;
    a.out = out;
    return S_guard(aTHX_ S_array_pop, &a, error);
}
