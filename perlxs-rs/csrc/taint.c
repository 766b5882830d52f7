/* Taint mode. */

static void S_taint_proper(pTHX_ void *what)
{
    PERL_UNUSED_VAR(what); /* by perls without taint support */
    TAINT_PROPER((const char *)what);
}

int perlxs_taint_proper(perlxs_interp *interp, const char *what, SV **error)
{
    dINTERP;
    return TAINT_get ? S_guard(aTHX_ S_taint_proper, (void *)what, error) : PERLXS_OK;
}

static void S_taint_env(pTHX_ void *unused)
{
    PERL_UNUSED_VAR(unused);
    TAINT_ENV();
}

int perlxs_taint_env(perlxs_interp *interp, SV **error)
{
    dINTERP;
    return TAINTING_get ? S_guard(aTHX_ S_taint_env, NULL, error) : PERLXS_OK;
}
