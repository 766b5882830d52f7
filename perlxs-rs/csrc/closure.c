/* Code that is a Rust closure. */

static XSPROTO(S_closure)
{
    const MAGIC *const mg = mg_findext((SV *)cv, PERL_MAGIC_ext, &S_payload);

    if (!mg || !mg->mg_ptr)
        croak("this code holds nothing in this thread, as it was made in another");
    /* while it runs it may give up the last reference to itself */
    sv_2mortal(SvREFCNT_inc_simple_NN((SV *)cv));
    S_entry(aTHX_ cv);
}

SV *perlxs_closure_new(perlxs_interp *interp, const perlxs_xsub *xsub, perlxs_payload *payload)
{
    dINTERP;
    SV *volatile code = NULL;

    ALLOCATING(
        CV *const cv = newXS(NULL, S_closure, "perlxs");
        MAGIC *mg;

        CvXSUBANY(cv).any_ptr = (void *)xsub;
        mg = sv_magicext((SV *)cv, NULL, PERL_MAGIC_ext, &S_payload, (const char *)payload, 0);
        mg->mg_flags |= MGf_DUP;
        code = (SV *)cv);
    return code;
}
