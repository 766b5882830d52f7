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
        *a->out = a->i ? av_shift(av) : av_pop(av);
}

int perlxs_array_pop(perlxs_interp *interp, SV *av, SV **out, SV **error)
{
    dINTERP;
    struct aggregate a;

    a.sv = av;
    a.i = 0;
    a.out = out;
    return S_guard(aTHX_ S_array_pop, &a, error);
}

int perlxs_array_shift(perlxs_interp *interp, SV *av, SV **out, SV **error)
{
    dINTERP;
    struct aggregate a;

    a.sv = av;
    a.i = 1;
    a.out = out;
    return S_guard(aTHX_ S_array_pop, &a, error);
}

static void S_array_exists(pTHX_ void *arg)
{
    struct aggregate *const a = (struct aggregate *)arg;
    *a->number = av_exists((AV *)a->sv, S_index(a->i));
}

int perlxs_array_exists(perlxs_interp *interp, SV *av, size_t i, size_t *out, SV **error)
{
    dINTERP;
    struct aggregate a;

    a.sv = av;
    a.i = i;
    a.number = out;
    return S_guard(aTHX_ S_array_exists, &a, error);
}

static void S_array_delete(pTHX_ void *arg)
{
    struct aggregate *const a = (struct aggregate *)arg;
    SV *const value = av_delete((AV *)a->sv, S_index(a->i), 0);

    *a->out = SvREFCNT_inc(value);
}

int perlxs_array_delete(perlxs_interp *interp, SV *av, size_t i, SV **out, SV **error)
{
    dINTERP;
    struct aggregate a;

    a.sv = av;
    a.i = i;
    a.out = out;
    return S_guard(aTHX_ S_array_delete, &a, error);
}

struct splice {
    AV *av;
    size_t i;
    size_t len;
    SV *const *values;
    size_t n;
    SV **out;
};

/* Of a tied one: what its SPLICE returns. */
static void S_splice_tied(pTHX_ struct splice *s, MAGIC *mg, AV *removed)
{
    SV *const object = SvTIED_obj((SV *)s->av, mg);
    SSize_t count;
    size_t k;
    dSP;

    PUSHMARK(SP);
    EXTEND(SP, (SSize_t)s->n + 3);
    PUSHs(object);
    mPUSHu(s->i);
    mPUSHu(s->len);
    for (k = 0; k < s->n; k++)
        PUSHs(s->values[k]);
    PUTBACK;
    count = call_method("SPLICE", G_ARRAY);
    for (k = 0; k < (size_t)count; k++)
        av_push(removed, newSVsv(PL_stack_sp[1 - count + (SSize_t)k]));
    PL_stack_sp -= count;
}

static void S_array_splice(pTHX_ void *arg)
{
    struct splice *const s = (struct splice *)arg;
    AV *const av = s->av;
    AV *const removed = (AV *)sv_2mortal((SV *)newAV());
    AV *const added = (AV *)sv_2mortal((SV *)newAV());
    MAGIC *const mg = SvRMAGICAL(av) ? mg_find((SV *)av, PERL_MAGIC_tied) : NULL;
    size_t length, rest, k;
    SV **elements;

    length = (size_t)(av_len(av) + 1);
    if (s->i > length)
        s->i = length;
    if (s->len > length - s->i)
        s->len = length - s->i;
    if (mg) {
        S_splice_tied(aTHX_ s, mg, removed);
        *s->out = SvREFCNT_inc_simple_NN((SV *)removed);
        return;
    }
    for (k = 0; k < s->n; k++)
        av_push(added, newSVsv(s->values[k]));
    /* a value's magic may have changed the array */
    if ((size_t)(AvFILLp(av) + 1) != length)
        croak("the array has changed meanwhile");
    av_push(av, newSV(0)); /* refuses for a read-only array, and counts the elements of @_ */
    SvREFCNT_dec_NN(av_pop(av));
    av_extend(av, S_index(length + s->n));
    av_extend(removed, S_index(s->len));
    elements = AvARRAY(av) + s->i;
    rest = length - s->i - s->len;
    for (k = 0; k < s->len; k++)
        av_store(removed, S_index(k), elements[k] ? elements[k] : newSV(0));
    Move(elements + s->len, elements + s->n, rest, SV *);
    for (k = 0; k < s->n; k++) {
        elements[k] = AvARRAY(added)[k];
        AvARRAY(added)[k] = NULL;
    }
    AvFILLp(added) = -1;
    for (k = s->n + rest; k < s->len + rest; k++)
        elements[k] = NULL;
    AvFILLp(av) = (SSize_t)(s->i + s->n + rest) - 1;
    *s->out = SvREFCNT_inc_simple_NN((SV *)removed);
}

int perlxs_array_splice(perlxs_interp *interp, SV *av, size_t i, size_t len, SV *const *values,
                        size_t n, SV **out, SV **error)
{
    dINTERP;
    struct splice s;

    s.av = (AV *)av;
    s.i = i;
    s.len = len;
    s.values = values;
    s.n = n;
    s.out = out;
    return S_guard(aTHX_ S_array_splice, &s, error);
}
