/* Scalars: made, read, assigned to, described. */

/* A new scalar, or the one that it is. Within a jump frame. */
static SV *S_new_value(pTHX_ const perlxs_value *value)
{
    switch (value->kind) {
    case PERLXS_VALUE_TRUE:
        return newSVsv(&PL_sv_yes);
    case PERLXS_VALUE_FALSE:
        return newSVsv(&PL_sv_no);
    case PERLXS_VALUE_INT:
        return newSViv((IV)value->integer);
    case PERLXS_VALUE_UINT:
        return newSVuv((UV)value->integer);
    case PERLXS_VALUE_NUM:
        return newSVnv(value->real);
    case PERLXS_VALUE_BYTES:
        return newSVpvn(value->p, value->len);
    case PERLXS_VALUE_UTF8:
        return newSVpvn_flags(value->p, value->len, SVf_UTF8);
    case PERLXS_VALUE_SV:
        return value->sv;
    default:
        return newSV(0);
    }
}

SV *perlxs_sv_new(perlxs_interp *interp, const perlxs_value *value)
{
    dINTERP;
    SV *sv;

    ALLOCATING(sv = S_new_value(aTHX_ value));
    return sv;
}

SV *perlxs_sv_inc(perlxs_interp *interp, SV *sv)
{
    dINTERP;
    return SvREFCNT_inc_simple_NN(sv);
}

void perlxs_sv_dec(perlxs_interp *interp, SV *sv)
{
    dINTERP;
    if (LIKELY(SvREFCNT(sv) > 1))
        SvREFCNT(sv)--;
    else
        S_drop(aTHX_ interp, sv);
}

int perlxs_sv_is_undef_constant(perlxs_interp *interp, SV *sv)
{
    dINTERP;
    return sv == &PL_sv_undef;
}

struct assignable {
    SV *sv;
    int *out;
};

static void S_assignable(pTHX_ void *arg)
{
    struct assignable *const a = (struct assignable *)arg;
    SV *const sv = a->sv;
    const bool tainted = TAINT_get;

    PERL_UNUSED_VAR(tainted);
    *a->out = !SvREADONLY(sv) && !isGV_with_GP(sv);
    /* magic may refuse, as that of $1: it tells when it is tried. A tied one would store. */
    if (*a->out && SvSMAGICAL(sv) && !mg_find(sv, PERL_MAGIC_tiedscalar)
        && !mg_find(sv, PERL_MAGIC_tiedelem)) {
        SV *const value = sv_newmortal();

        sv_setsv(value, sv);
        sv_setsv_mg(sv, value);
        TAINT_set(tainted); /* what it held is to be replaced, and counts for nothing */
    }
}

int perlxs_sv_assignable(perlxs_interp *interp, SV *sv, int *out, SV **error)
{
    dINTERP;
    struct assignable a;

    if (!SvMAGICAL(sv)) {
        *out = !SvREADONLY(sv) && !isGV_with_GP(sv);
        return PERLXS_OK;
    }
    a.sv = sv;
    a.out = out;
    return S_guard(aTHX_ S_assignable, &a, error);
}

struct number {
    SV *sv;
    perlxs_number *out;
};

/* What an overload method makes of it, with its magic read, or itself. */
static SV *S_converted(pTHX_ SV *sv, int method)
{
    SV *const converted = SvROK(sv) && SvAMAGIC(sv) ? AMG_CALLunary(sv, method) : NULL;

    if (!converted)
        return sv;
    SvGETMAGIC(converted);
    return converted;
}

static void S_number(pTHX_ void *arg)
{
    struct number *const n = (struct number *)arg;
    perlxs_number *const out = n->out;
    SV *sv = n->sv;

    SvGETMAGIC(sv);
    sv = S_converted(aTHX_ sv, numer_amg);
    if (!SvROK(sv) && SvPOK(sv) && !SvIOK(sv) && !SvNOK(sv) && looks_like_number(sv)) {
        STRLEN len;
        const char *const p = SvPV_nomg_const(sv, len);

        /* a copy: numbers cached in the caller's string would change how others print it */
        sv = newSVpvn_flags(p, len, SVs_TEMP);
        (void)SvIV_nomg(sv);
    }
    if (SvROK(sv))
        out->kind = PERLXS_NUMBER_NONE;
    else if (SvIOK(sv) && SvIsUV(sv) && SvUVX(sv) > (UV)IV_MAX) {
        out->kind = PERLXS_NUMBER_UINT;
        out->integer = (int64_t)SvUVX(sv);
    }
    else if (SvIOK(sv)) {
        out->kind = PERLXS_NUMBER_INT;
        out->integer = SvIVX(sv);
    }
    else if (SvNOK(sv)) {
        out->kind = PERLXS_NUMBER_FLOAT;
        out->real = (double)SvNVX(sv);
    }
    else
        out->kind = SvOK(sv) || isGV_with_GP(sv) ? PERLXS_NUMBER_NONE : PERLXS_NUMBER_UNDEF;
}

/* What a plain scalar holds, with nothing to run. 0 if that takes more. */
PERL_STATIC_INLINE int S_plain_number(pTHX_ SV *sv, perlxs_number *out)
{
    UV value;
    int kind;

    if (SvGMAGICAL(sv) || SvROK(sv))
        return 0;
    if (SvIOK(sv)) {
        out->kind = SvIsUV(sv) && SvUVX(sv) > (UV)IV_MAX ? PERLXS_NUMBER_UINT : PERLXS_NUMBER_INT;
        out->integer = SvIVX(sv);
        return 1;
    }
    if (SvNOK(sv)) {
        out->kind = PERLXS_NUMBER_FLOAT;
        out->real = (double)SvNVX(sv);
        return 1;
    }
    if (!SvPOK(sv))
        return 0;
    kind = grok_number(SvPVX_const(sv), SvCUR(sv), &value);
    if (!kind) {
        out->kind = PERLXS_NUMBER_NONE;
        return 1;
    }
    if ((kind & ~IS_NUMBER_NEG) != IS_NUMBER_IN_UV || value > (UV)IV_MAX)
        return 0;
    out->kind = PERLXS_NUMBER_INT;
    out->integer = kind & IS_NUMBER_NEG ? -(IV)value : (IV)value;
    return 1;
}

int perlxs_sv_number(perlxs_interp *interp, SV *sv, perlxs_number *out, SV **error)
{
    dINTERP;
    struct number n;

    if (LIKELY(S_plain_number(aTHX_ sv, out)))
        return PERLXS_OK;
    n.sv = sv;
    n.out = out;
    return S_guard(aTHX_ S_number, &n, error);
}

/* Whether an assignment only replaces the value: nothing refuses, looks on, or is destroyed, and
 * the value runs nothing either. */
PERL_STATIC_INLINE int S_is_plain_set(perlxs_interp *interp, SV *sv, SV *value)
{
    return !interp->exposed
           && !(SvFLAGS(sv) & (SVf_READONLY | SVf_PROTECT | SVs_GMG | SVs_SMG | SVs_RMG | SVf_FAKE))
           && SvTYPE(sv) < SVt_PVMG && (!SvROK(sv) || SvREFCNT(SvRV(sv)) > 1) && !SvWEAKREF(sv)
           && !SvGMAGICAL(value) && SvTYPE(value) <= SVt_PVMG;
}

struct set {
    SV *sv;
    SV *value;
};

static void S_set(pTHX_ void *arg)
{
    struct set *const s = (struct set *)arg;
    sv_setsv_mg(s->sv, s->value);
}

int perlxs_sv_set(perlxs_interp *interp, SV *sv, SV *value, SV **error)
{
    dINTERP;
    struct set s;

    if (S_is_plain_set(interp, sv, value)) {
        ALLOCATING(sv_setsv_flags(sv, value, 0));
        return PERLXS_OK;
    }
    s.sv = sv;
    s.value = value;
    return S_guard(aTHX_ S_set, &s, error);
}

struct copy {
    SV *sv;
    SV **out;
};

static void S_copy(pTHX_ void *arg)
{
    struct copy *const c = (struct copy *)arg;
    *c->out = newSVsv(c->sv);
}

int perlxs_sv_copy(perlxs_interp *interp, SV *sv, SV **out, SV **error)
{
    dINTERP;
    struct copy c;

    if (!SvGMAGICAL(sv) && SvTYPE(sv) <= SVt_PVMG && !(SvPOK(sv) && SvCUR(sv) > 65535)) {
        ALLOCATING(*out = newSVsv(sv));
        return PERLXS_OK;
    }
    c.sv = sv;
    c.out = out;
    return S_guard(aTHX_ S_copy, &c, error);
}

int perlxs_sv_is_stringless(perlxs_interp *interp, SV *sv)
{
    dINTERP;
    return (SvROK(sv) && !SvAMAGIC(sv)) || isGV_with_GP(sv);
}

struct describe {
    SV *sv;
    SV *text;
};

static void S_describe(pTHX_ void *arg)
{
    struct describe *const d = (struct describe *)arg;
    SV *const sv = d->sv;
    SV *const text = d->text;

    if (SvROK(sv)) {
        SV *const target = SvRV(sv);
        const char *const type = sv_reftype(target, 0);

        if (SvOBJECT(target)) {
            HEK *const name = HvNAME_HEK(SvSTASH(target));

            if (name)
                Perl_sv_setpvf(aTHX_ text, "an object of class %" HEKf, HEKfARG(name));
            else
                sv_setpvs(text, "an object of a class that is gone");
        }
        else
            Perl_sv_setpvf(aTHX_ text, "a reference to %s %s",
                           strchr("AEIOU", *type) ? "an" : "a", type);
    }
    else if (isGV_with_GP(sv)) {
        HV *const stash = GvSTASH((GV *)sv);
        HEK *const package = stash ? HvNAME_HEK(stash) : NULL;

        sv_setpvs(text, "the glob *");
        if (package)
            Perl_sv_catpvf(aTHX_ text, "%" HEKf, HEKfARG(package));
        Perl_sv_catpvf(aTHX_ text, "::%" HEKf, HEKfARG(GvNAME_HEK((GV *)sv)));
    }
    else if (!SvOK(sv))
        sv_setpvs(text, "undef");
    else if (SvPOK(sv)) {
        /* characters, if they are any: pv_pretty warns of others, and loses its way */
        const int utf8 = SvUTF8(sv) && is_utf8_string((const U8 *)SvPVX_const(sv), SvCUR(sv));

        sv_setpvs(text, "the string ");
        pv_pretty(text, SvPVX_const(sv), SvCUR(sv), 60, NULL, NULL,
                  PERL_PV_PRETTY_NOCLEAR | PERL_PV_PRETTY_QUOTE | PERL_PV_PRETTY_ELLIPSES
                      | (utf8 ? PERL_PV_ESCAPE_UNI : 0));
    }
    else if (SvIOK(sv) && SvIsUV(sv))
        Perl_sv_setpvf(aTHX_ text, "%" UVuf, SvUVX(sv));
    else if (SvIOK(sv))
        Perl_sv_setpvf(aTHX_ text, "%" IVdf, SvIVX(sv));
    else if (SvNOK(sv))
        Perl_sv_setpvf(aTHX_ text, "%" NVgf, SvNVX(sv));
    else
        Perl_sv_setpvf(aTHX_ text, "a value of type %s", sv_reftype(sv, 0));
}

/* Guarded, since what formats strings may warn, and a warning may be a handler's exception. */
SV *perlxs_sv_describe(perlxs_interp *interp, SV *sv)
{
    dINTERP;
    struct describe d;
    SV *error = NULL;

    d.sv = sv;
    ALLOCATING(d.text = newSVpvs("a value"));
    S_guard(aTHX_ S_describe, &d, &error);
    S_drop(aTHX_ interp, error);
    return d.text;
}

struct to_value {
    SV *sv;
    int kind;
    perlxs_value *out;
    OP *op; /* that of the caller, which warnings name */
};

#ifndef SvIsBOOL /* before perl 5.36 only the two themselves are known */
#define SvIsBOOL(sv) ((sv) == &PL_sv_yes || (sv) == &PL_sv_no)
#endif

static void S_form_of(pTHX_ void *arg)
{
    const struct to_value *const t = (const struct to_value *)arg;
    SV *const sv = t->sv;
    perlxs_value *const out = t->out;

    SvGETMAGIC(sv);
    if (SvROK(sv))
        out->kind = PERLXS_FORM_REFERENCE;
    else if (isGV_with_GP(sv))
        out->kind = PERLXS_FORM_GLOB;
    else if (SvIsBOOL(sv))
        out->kind = SvCUR(sv) ? PERLXS_VALUE_TRUE : PERLXS_VALUE_FALSE;
    else if (SvPOK(sv))
        out->kind = PERLXS_FORM_STRING;
    else if (SvIOK(sv)) {
        out->kind = SvIsUV(sv) && SvUVX(sv) > (UV)IV_MAX ? PERLXS_VALUE_UINT : PERLXS_VALUE_INT;
        out->integer = SvIVX(sv);
    }
    else if (SvNOK(sv)) {
        out->kind = PERLXS_VALUE_NUM;
        out->real = (double)SvNVX(sv);
    }
    else
        out->kind = SvOK(sv) ? PERLXS_FORM_STRING : PERLXS_VALUE_UNDEF;
}

int perlxs_sv_form(perlxs_interp *interp, SV *sv, perlxs_value *out, SV **error)
{
    dINTERP;
    struct to_value t;

    t.sv = sv;
    t.out = out;
    if (LIKELY(!SvGMAGICAL(sv))) {
        S_form_of(aTHX_ &t); /* nothing to run */
        return PERLXS_OK;
    }
    return S_guard(aTHX_ S_form_of, &t, error);
}

static void S_as(pTHX_ void *arg)
{
    const struct to_value *const t = (const struct to_value *)arg;
    perlxs_value *const out = t->out;
    OP *const own = PL_op;

    PL_op = t->op;
    switch (t->kind) {
    case PERLXS_VALUE_INT:
        out->integer = SvIV(t->sv);
        break;
    case PERLXS_VALUE_UINT:
        out->integer = (int64_t)SvUV(t->sv);
        break;
    case PERLXS_VALUE_NUM:
        out->real = (double)SvNV(t->sv);
        break;
    default: {
        STRLEN len;
        const char *const p = SvPV_const(t->sv, len);

        /* with what overloading makes of it, SvUTF8 is that of the string */
        out->sv = newSVpvn_flags(p, len, SvUTF8(t->sv) ? SVf_UTF8 : 0);
    }
    }
    PL_op = own;
}

/* Where perl needs not look twice. */
static int S_plain_as(pTHX_ SV *sv, int kind, perlxs_value *out)
{
    perlxs_number n;

    if (kind == PERLXS_VALUE_SV) {
        if (!SvPOK(sv) || SvGMAGICAL(sv) || SvROK(sv))
            return 0;
        out->sv = SvREFCNT_inc_simple_NN(sv);
        return 1;
    }
    if (!S_plain_number(aTHX_ sv, &n))
        return 0;
    if (n.kind == PERLXS_NUMBER_INT || (n.kind == PERLXS_NUMBER_UINT && kind != PERLXS_VALUE_NUM)) {
        if (kind == PERLXS_VALUE_NUM)
            out->real = SvNOK(sv) ? (double)SvNVX(sv) : (double)n.integer;
        out->integer = n.integer;
        return 1;
    }
    if (n.kind != PERLXS_NUMBER_FLOAT || kind != PERLXS_VALUE_NUM)
        return 0;
    out->real = n.real;
    return 1;
}

int perlxs_sv_as(perlxs_interp *interp, SV *sv, int kind, perlxs_value *out, SV **error)
{
    dINTERP;
    struct to_value t;

    if (LIKELY(S_plain_as(aTHX_ sv, kind, out)))
        return PERLXS_OK;
    t.sv = sv;
    t.kind = kind;
    t.out = out;
    t.op = PL_op;
    return S_guard(aTHX_ S_as, &t, error);
}
