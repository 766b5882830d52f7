/* The yardstick of calls.pl: each function as a good author of XS writes it, for speed.
 *
 * rust/src/lib.rs has the same functions under the same names. */

#define PERL_NO_GET_CONTEXT
#include "EXTERN.h"
#include "perl.h"
#include "XSUB.h"

/* ---- an object with a value of C's: magic, which is cheaper than T_PTROBJ and its DESTROY ---- */

typedef struct {
    IV count;
} counter;

static int counter_free(pTHX_ SV *sv, MAGIC *mg)
{
    PERL_UNUSED_VAR(sv);
    Safefree(mg->mg_ptr);
    return 0;
}

static const MGVTBL counter_vtbl = {NULL, NULL, NULL, NULL, counter_free, NULL, NULL, NULL};

static counter *counter_of(pTHX_ SV *self)
{
    MAGIC *mg = SvROK(self) ? mg_findext(SvRV(self), PERL_MAGIC_ext, &counter_vtbl) : NULL;

    if (!mg)
        croak("this is no counter");
    return (counter *)mg->mg_ptr;
}

/* ---- calling perl ---- */

static IV call_times(pTHX_ SV *code, IV times, I32 flags)
{
    IV sum = 0;
    IV i;

    for (i = 0; i < times; i++) {
        dSP;

        ENTER;
        SAVETMPS;
        PUSHMARK(SP);
        mXPUSHi(i);
        PUTBACK;
        call_sv(code, flags);
        SPAGAIN;
        if ((flags & G_EVAL) && SvTRUE(ERRSV))
            croak(NULL);
        sum += POPi;
        PUTBACK;
        FREETMPS;
        LEAVE;
    }
    return sum;
}

/* ---- pack: into the buffer of a scalar ---- */

typedef struct {
    SV *sv;
    char *at;
    char *end;
} out;

static void out_grow(pTHX_ out *o, STRLEN more)
{
    const STRLEN len = o->at - SvPVX(o->sv);

    SvCUR_set(o->sv, len);
    o->at = SvGROW(o->sv, len + len / 2 + more + 1) + len;
    o->end = SvPVX(o->sv) + SvLEN(o->sv) - 1;
}

static void put(pTHX_ out *o, const char *p, STRLEN len)
{
    if ((STRLEN)(o->end - o->at) < len)
        out_grow(aTHX_ o, len);
    Copy(p, o->at, len, char);
    o->at += len;
}

/* a byte, and the low bytes of n, the high ones first */
static void put_tagged(pTHX_ out *o, unsigned char tag, UV n, int bytes)
{
    char buffer[9];
    int i;

    buffer[0] = (char)tag;
    for (i = bytes; i > 0; i--, n >>= 8)
        buffer[i] = (char)(n & 0xff);
    put(aTHX_ o, buffer, bytes + 1);
}

static void put_len(pTHX_ out *o, unsigned char fix, UV fixed, unsigned char tag16, UV len)
{
    if (len < fixed)
        put_tagged(aTHX_ o, fix | (unsigned char)len, 0, 0);
    else if (len <= 0xffff)
        put_tagged(aTHX_ o, tag16, len, 2);
    else
        put_tagged(aTHX_ o, tag16 + 1, len, 4);
}

static void put_uint(pTHX_ out *o, UV n)
{
    if (n < 0x80)
        put_tagged(aTHX_ o, (unsigned char)n, 0, 0);
    else if (n <= 0xff)
        put_tagged(aTHX_ o, 0xcc, n, 1);
    else if (n <= 0xffff)
        put_tagged(aTHX_ o, 0xcd, n, 2);
    else if (n <= 0xffffffff)
        put_tagged(aTHX_ o, 0xce, n, 4);
    else
        put_tagged(aTHX_ o, 0xcf, n, 8);
}

static void put_int(pTHX_ out *o, IV n)
{
    if (n >= 0)
        put_uint(aTHX_ o, (UV)n);
    else if (n >= -0x20)
        put_tagged(aTHX_ o, (unsigned char)n, 0, 0);
    else if (n >= -0x80)
        put_tagged(aTHX_ o, 0xd0, (UV)n, 1);
    else if (n >= -0x8000)
        put_tagged(aTHX_ o, 0xd1, (UV)n, 2);
    else if (n >= -0x7fffffff - 1)
        put_tagged(aTHX_ o, 0xd2, (UV)n, 4);
    else
        put_tagged(aTHX_ o, 0xd3, (UV)n, 8);
}

static void put_float(pTHX_ out *o, double f)
{
    U64 bits;

    Copy(&f, &bits, 1, double);
    put_tagged(aTHX_ o, 0xcb, bits, 8);
}

static void put_bytes(pTHX_ out *o, const char *p, STRLEN len)
{
    if (len <= 0xff)
        put_tagged(aTHX_ o, 0xc4, len, 1);
    else if (len <= 0xffff)
        put_tagged(aTHX_ o, 0xc5, len, 2);
    else
        put_tagged(aTHX_ o, 0xc6, len, 4);
    put(aTHX_ o, p, len);
}

static void encode(pTHX_ out *o, SV *sv)
{
    SvGETMAGIC(sv);
    if (SvPOKp(sv)) {
        STRLEN len;
        const char *p = SvPVbyte_nomg(sv, len);

        put_bytes(aTHX_ o, p, len);
    }
    else if (SvIOKp(sv)) {
        if (SvIsUV(sv))
            put_uint(aTHX_ o, SvUVX(sv));
        else
            put_int(aTHX_ o, SvIVX(sv));
    }
    else if (SvNOKp(sv))
        put_float(aTHX_ o, SvNVX(sv));
    else if (SvROK(sv) && SvTYPE(SvRV(sv)) == SVt_PVAV) {
        AV *av = (AV *)SvRV(sv);
        SSize_t len = av_len(av) + 1;
        SSize_t i;

        put_len(aTHX_ o, 0x90, 16, 0xdc, len);
        for (i = 0; i < len; i++) {
            SV **element = SvRMAGICAL(av) ? av_fetch(av, i, 0) : AvARRAY(av) + i;

            encode(aTHX_ o, element && *element ? *element : &PL_sv_undef);
        }
    }
    else if (SvROK(sv) && SvTYPE(SvRV(sv)) == SVt_PVHV) {
        HV *hv = (HV *)SvRV(sv);
        HE *he;

        put_len(aTHX_ o, 0x80, 16, 0xde, hv_iterinit(hv));
        while ((he = hv_iternext(hv))) {
            STRLEN len;
            const char *key = HePV(he, len);

            put_bytes(aTHX_ o, key, len);
            encode(aTHX_ o, HeVAL(he));
        }
    }
    else if (!SvOK(sv))
        put_tagged(aTHX_ o, 0xc0, 0, 0);
    else
        croak("this cannot be packed");
}

/* ---- unpack ---- */

typedef struct {
    const unsigned char *at;
    const unsigned char *end;
} in;

/* The bytes of a number of that many; false if there are not so many. */
static bool take(in *i, int bytes, UV *n)
{
    if (i->end - i->at < bytes)
        return FALSE;
    for (*n = 0; bytes > 0; bytes--)
        *n = *n << 8 | *i->at++;
    return TRUE;
}

/* The length of a string, its tag and the length of its length being read; or NULL. */
static const char *take_bytes(in *i, int bytes, UV *len)
{
    const char *p;

    if (!take(i, bytes, len) || (UV)(i->end - i->at) < *len)
        return NULL;
    p = (const char *)i->at;
    i->at += *len;
    return p;
}

static SV *decode(pTHX_ in *i);

static SV *decode_array(pTHX_ in *i, UV len)
{
    AV *av = newAV();
    UV n;

    if (len > (UV)(i->end - i->at)) {
        SvREFCNT_dec_NN(av);
        return NULL;
    }
    if (len)
        av_extend(av, len - 1);
    for (n = 0; n < len; n++) {
        SV *sv = decode(aTHX_ i);

        if (!sv) {
            SvREFCNT_dec_NN(av);
            return NULL;
        }
        av_store(av, n, sv);
    }
    return newRV_noinc((SV *)av);
}

static SV *decode_hash(pTHX_ in *i, UV len)
{
    HV *hv = newHV();

    while (len-- > 0) {
        UV tag;
        UV key_len;
        const char *key = NULL;
        SV *sv = NULL;

        if (take(i, 1, &tag) && tag >= 0xc4 && tag <= 0xc6)
            key = take_bytes(i, 1 << (tag - 0xc4), &key_len);
        if (key)
            sv = decode(aTHX_ i);
        if (!sv) {
            SvREFCNT_dec_NN(hv);
            return NULL;
        }
        (void)hv_store(hv, key, key_len, sv, 0);
    }
    return newRV_noinc((SV *)hv);
}

/* A new scalar, or NULL if the bytes are not what they should be. */
static SV *decode(pTHX_ in *i)
{
    UV tag;
    UV n;
    const char *p;
    double f;

    if (!take(i, 1, &tag))
        return NULL;
    if (tag < 0x80)
        return newSViv(tag);
    if (tag < 0x90)
        return decode_hash(aTHX_ i, tag & 0xf);
    if (tag < 0xa0)
        return decode_array(aTHX_ i, tag & 0xf);
    if (tag >= 0xe0)
        return newSViv((signed char)tag);
    switch (tag) {
    case 0xc0:
        return newSV(0);
    case 0xc4:
    case 0xc5:
    case 0xc6:
        p = take_bytes(i, 1 << (tag - 0xc4), &n);
        return p ? newSVpvn(p, n) : NULL;
    case 0xcb:
        if (!take(i, 8, &n))
            return NULL;
        Copy(&n, &f, 1, double);
        return newSVnv(f);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        return take(i, 1 << (tag - 0xcc), &n) ? newSVuv(n) : NULL;
    case 0xd0:
        return take(i, 1, &n) ? newSViv((I8)n) : NULL;
    case 0xd1:
        return take(i, 2, &n) ? newSViv((I16)n) : NULL;
    case 0xd2:
        return take(i, 4, &n) ? newSViv((I32)n) : NULL;
    case 0xd3:
        return take(i, 8, &n) ? newSViv((IV)n) : NULL;
    case 0xdc:
    case 0xdd:
        return take(i, 2 << (tag - 0xdc), &n) ? decode_array(aTHX_ i, n) : NULL;
    case 0xde:
    case 0xdf:
        return take(i, 2 << (tag - 0xde), &n) ? decode_hash(aTHX_ i, n) : NULL;
    default:
        return NULL;
    }
}

MODULE = C::Twin  PACKAGE = C::Twin

PROTOTYPES: DISABLE

void
nothing()
  CODE:

IV
successor(IV n)
  CODE:
    RETVAL = n + 1;
  OUTPUT:
    RETVAL

NV
half(NV n)
  CODE:
    RETVAL = n / 2;
  OUTPUT:
    RETVAL

SV *
echo(SV *bytes)
  PREINIT:
    STRLEN len;
    const char *p;
  CODE:
    p = SvPVbyte(bytes, len);
    RETVAL = newSVpvn(p, len);
  OUTPUT:
    RETVAL

UV
size(SV *bytes)
  PREINIT:
    STRLEN len;
  CODE:
    (void)SvPVbyte(bytes, len);
    RETVAL = len;
  OUTPUT:
    RETVAL

IV
call_times(SV *code, IV times)
  CODE:
    RETVAL = call_times(aTHX_ code, times, G_SCALAR);
  OUTPUT:
    RETVAL

IV
call_times_eval(SV *code, IV times)
  CODE:
    RETVAL = call_times(aTHX_ code, times, G_SCALAR | G_EVAL);
  OUTPUT:
    RETVAL

IV
sum(AV *array)
  PREINIT:
    SSize_t i;
  CODE:
    RETVAL = 0;
    if (SvRMAGICAL(array)) {
        for (i = 0; i <= av_len(array); i++) {
            SV **element = av_fetch(array, i, 0);

            if (element)
                RETVAL += SvIV(*element);
        }
    }
    else {
        for (i = 0; i <= AvFILLp(array); i++) {
            SV *element = AvARRAY(array)[i];

            if (element)
                RETVAL += SvIV(element);
        }
    }
  OUTPUT:
    RETVAL

SV *
array(IV len)
  PREINIT:
    AV *av = newAV();
    IV i;
  CODE:
    if (len > 0)
        av_extend(av, len - 1);
    for (i = 0; i < len; i++)
        av_store(av, i, newSViv(i));
    RETVAL = newRV_noinc((SV *)av);
  OUTPUT:
    RETVAL

SV *
hash(IV len)
  PREINIT:
    HV *hv = newHV();
    char key[20];
    IV i;
  CODE:
    for (i = 0; i < len; i++) {
        const int key_len = my_snprintf(key, sizeof key, "%08" UVxf, (UV)i);

        (void)hv_store(hv, key, key_len, newSViv(i), 0);
    }
    RETVAL = newRV_noinc((SV *)hv);
  OUTPUT:
    RETVAL

IV
walk(HV *hash)
  PREINIT:
    HE *he;
  CODE:
    RETVAL = 0;
    hv_iterinit(hash);
    while ((he = hv_iternext(hash))) {
        STRLEN len;

        (void)HePV(he, len);
        RETVAL += len + SvIV(HeVAL(he));
    }
  OUTPUT:
    RETVAL

IV
firstidx(SV *code, ...)
  PROTOTYPE: &@
  PREINIT:
    dMULTICALL;
    U8 gimme = G_SCALAR;
    GV *gv;
    HV *stash;
    CV *block;
    SV **args = &PL_stack_base[ax];
    SSize_t i;
  CODE:
    block = sv_2cv(code, &stash, &gv, 0);
    if (!block || CvISXSUB(block))
        croak("firstidx needs a block");
    RETVAL = -1;
    SAVESPTR(GvSV(PL_defgv));
    PUSH_MULTICALL(block);
    for (i = 1; i < items; i++) {
        GvSV(PL_defgv) = args[i];
        MULTICALL;
        if (SvTRUEx(*PL_stack_sp)) {
            RETVAL = i - 1;
            break;
        }
    }
    POP_MULTICALL;
  OUTPUT:
    RETVAL

SV *
pack(SV *data)
  PREINIT:
    out o;
  CODE:
    o.sv = sv_2mortal(newSV(80));
    SvPOK_only(o.sv);
    o.at = SvPVX(o.sv);
    o.end = o.at + SvLEN(o.sv) - 1;
    encode(aTHX_ &o, data);
    SvCUR_set(o.sv, o.at - SvPVX(o.sv));
    *SvEND(o.sv) = '\0';
    RETVAL = SvREFCNT_inc_simple_NN(o.sv);
  OUTPUT:
    RETVAL

SV *
unpack(SV *bytes)
  PREINIT:
    STRLEN len;
    in i;
  CODE:
    i.at = (const unsigned char *)SvPVbyte(bytes, len);
    i.end = i.at + len;
    RETVAL = decode(aTHX_ &i);
    if (!RETVAL)
        croak("this cannot be unpacked");
  OUTPUT:
    RETVAL

MODULE = C::Twin  PACKAGE = C::Twin::Counter

SV *
new(SV *class, IV count)
  PREINIT:
    SV *referent;
    counter *c;
  CODE:
    Newx(c, 1, counter);
    c->count = count;
    referent = newSV_type(SVt_PVMG);
    sv_magicext(referent, NULL, PERL_MAGIC_ext, &counter_vtbl, (char *)c, 0);
    RETVAL = sv_bless(newRV_noinc(referent), gv_stashsv(class, GV_ADD));
  OUTPUT:
    RETVAL

IV
increment(SV *self)
  CODE:
    RETVAL = ++counter_of(aTHX_ self)->count;
  OUTPUT:
    RETVAL
