/* Arrays. */

/* An index that perl's would not take for one from the end. */
static SSize_t S_index(size_t i)
{
    return i > SSize_t_MAX ? SSize_t_MAX : (SSize_t)i;
}

SV *perlxs_array_new(perlxs_interp *interp, size_t room)
{
    dINTERP;
    AV *av;

    ALLOCATING(av = newAV(); if (room > 0) av_extend(av, S_index(room) - 1));
    return (SV *)av;
}

void perlxs_array_append(perlxs_interp *interp, SV *sv, const perlxs_value *values, size_t n)
{
    dINTERP;
    AV *const av = (AV *)sv;
    const SSize_t first = AvFILLp(av) + 1;
    SV **elements;
    size_t i;

    ALLOCATING(av_extend(av, first + (SSize_t)n - 1); elements = AvARRAY(av) + first;
               for (i = 0; i < n; i++) elements[i] = S_new_value(aTHX_ & values[i]));
    AvFILLp(av) += (SSize_t)n;
}

/* Those that are there without magic, from `i` on. */
static size_t S_plain_elements(SV *av, size_t i, SV ***elements)
{
    const size_t count = SvRMAGICAL(av) ? 0 : (size_t)(AvFILLp((AV *)av) + 1);

    *elements = AvARRAY((AV *)av) + i;
    return i < count ? count - i : 0;
}

size_t perlxs_array_numbers(perlxs_interp *interp, SV *av, size_t i, perlxs_number *out, size_t n)
{
    dINTERP;
    SV **elements;
    const size_t count = S_plain_elements(av, i, &elements);
    size_t done;

    for (done = 0; done < n && done < count; done++)
        if (!elements[done] || !S_plain_number(aTHX_ elements[done], &out[done]))
            break;
    return done;
}

size_t perlxs_array_integers(perlxs_interp *interp, SV *av, size_t i, int64_t *out, size_t n)
{
    SV **elements;
    const size_t count = S_plain_elements(av, i, &elements);
    const size_t most = n < count ? n : count;
    size_t done;

    PERL_UNUSED_ARG(interp);
    for (done = 0; done < most; done++) {
        const SV *const sv = elements[done];

        if (!sv || (SvFLAGS(sv) & (SVf_IOK | SVf_IVisUV | SVf_ROK | SVs_GMG)) != SVf_IOK)
            break;
        out[done] = SvIVX(sv);
    }
    return done;
}

size_t perlxs_array_elements(perlxs_interp *interp, SV *av, size_t i, SV **out, size_t n)
{
    SV **elements;
    const size_t count = S_plain_elements(av, i, &elements);
    size_t done;

    PERL_UNUSED_ARG(interp);
    for (done = 0; done < n && done < count && elements[done]; done++)
        out[done] = SvREFCNT_inc_simple_NN(elements[done]);
    return done;
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
