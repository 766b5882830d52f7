//! The interpreter handle.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_int};
use std::ptr;

use crate::guard::contained;
use crate::{Array, Code, Hash, Result, Scalar, ffi};

/// A handle to the perl interpreter that called us.
///
/// It cannot be sent to another thread. What is kept of an interpreter (a [`Scalar`] in a
/// `thread_local!`, say) until perl is done with it cannot be used any more: that panics, and to
/// drop it does nothing. While perl clones an interpreter, both are there on one thread; a value of
/// one is an error where the other's is meant.
///
/// ```
/// # use perlxs::*;
/// /// `stop($message)`: with the place of the call, as Carp has it; it is in `$Log::last` too.
/// fn stop(call: &Call<'_>) -> Result<Value> {
///     let perl = call.perl();
///     perl.load_module("Carp")?;
///     let shortmess = Scalar::new(perl, "Carp::shortmess").code()?;
///     let shortmess = shortmess.ok_or_else(|| Error::croak("no Carp"))?;
///     let text = shortmess.call(&[call.arg(0).clone()])?;
///     perl.variable(c"Log::last")?.set(&text)?;
///     Ok(text.into())
/// }
///
/// /// `is_signal($name)`
/// fn is_signal(call: &Call<'_>) -> Result<Value> {
///     let name = call.arg(0).text()?.unwrap_or_default();
///     Ok(call.perl().signal_number(&name).is_some().into())
/// }
///
/// /// `grows($code)`: how many scalars it leaves behind.
/// fn grows(call: &Call<'_>) -> Result<Value> {
///     let code = call.arg(0).code()?.ok_or_else(|| Error::croak("grows needs code"))?;
///     let before = call.perl().sv_count();
///     drop(code.call(&[])?);
///     Ok((call.perl().sv_count() as i64 - before as i64).into())
/// }
///
/// /// `is_level($code)`: whether it leaves perl's stacks as they were.
/// fn is_level(call: &Call<'_>) -> Result<Value> {
///     let code = call.arg(0).code()?.ok_or_else(|| Error::croak("is_level needs code"))?;
///     let before = call.perl().depths();
///     drop(code.call(&[])?);
///     Ok((call.perl().depths() == before).into())
/// }
/// ```
/// ```perl
/// sub caller_of { return stop('too late') }
/// caller_of() =~ /^too late at -e line \d+/;      # 1
/// $Log::last =~ /^too late/;                      # 1
/// is_signal('TERM');                              # 1
/// is_signal('NOSUCH');                            # ''
/// our @kept;
/// grows(sub { push @kept, 1, 2; 1 });             # 2
/// is_level(sub { sort { $a <=> $b } 1, 2 });      # 1
/// ```
#[derive(Clone, Copy)]
pub struct Perl {
    raw: *mut ffi::Interp,
}

impl Perl {
    /// Wraps what stands for an interpreter in the shim.
    pub(crate) fn from_raw(raw: *mut ffi::Interp) -> Self {
        Perl { raw }
    }

    /// For the shim.
    ///
    /// # Panics
    /// If perl is done with the interpreter: its values are no more.
    #[inline]
    pub(crate) fn raw(self) -> *mut ffi::Interp {
        assert!(self.is_alive(), "this interpreter is at its end");
        self.raw
    }

    /// Whether both are the same interpreter.
    pub(crate) fn is(self, other: Perl) -> bool {
        self.raw == other.raw
    }

    #[inline]
    pub(crate) fn is_alive(self) -> bool {
        // SAFETY: the shim never frees it.
        unsafe { !(*self.raw).perl.is_null() }
    }

    /// The package variable of this name, with its package and without `$`. It is made if there
    /// is none (perlapi: `get_sv`).
    ///
    /// Returns `Err` if perl refuses: `$*` and `$#` are no more.
    ///
    /// Example: [`Perl`].
    pub fn variable(self, name: &CStr) -> Result<Scalar> {
        Ok(self.named(ffi::KIND_SCALAR, name)?.expect("a variable"))
    }

    /// As [`variable`](Perl::variable), the array of this name, without `@` (perlapi: `get_av`).
    ///
    /// Example: [`Perl::eval`].
    pub fn array(self, name: &CStr) -> Result<Array> {
        let array = self.named(ffi::KIND_ARRAY, name)?;
        Ok(Array::from_av(array.expect("an array")))
    }

    /// As [`variable`](Perl::variable), the hash of this name, without `%` (perlapi: `get_hv`).
    ///
    /// Example: [`Perl::eval`].
    pub fn hash(self, name: &CStr) -> Result<Hash> {
        let hash = self.named(ffi::KIND_HASH, name)?;
        Ok(Hash::from_hv(hash.expect("a hash")))
    }

    /// The sub of this name, with its package; `None` if there is none that is defined (perlapi:
    /// `get_cv`).
    ///
    /// Example: [`Perl::eval`].
    pub fn code(self, name: &CStr) -> Result<Option<Code>> {
        Ok(self.named(ffi::KIND_CODE, name)?.map(Code::new))
    }

    fn named(self, kind: c_int, name: &CStr) -> Result<Option<Scalar>> {
        Scalar::stored(self, |out, error| {
            // SAFETY: a C string; the places outlive the call.
            unsafe { ffi::perlxs_variable(self.raw(), kind, name.as_ptr(), out, error) }
        })
    }

    /// Runs a program in perl's language, in scalar context, and returns a copy of what its last
    /// statement does. Its package, `strict` and warnings are those of the caller (perlapi:
    /// `eval_sv`).
    ///
    /// Returns `Err` if it does not compile, or dies or exits.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `define($name, $body)`: a new sub in `Made`; the names of all of them.
    /// fn define(call: &Call<'_>) -> Result<Value> {
    ///     let perl = call.perl();
    ///     let (name, body) = (call.arg(0).pv()?, call.arg(1).pv()?);
    ///     perl.eval(&format!("sub Made::{name} {{ {body} }} 1"))?;
    ///     perl.array(c"Made::names")?.push(&*name)?;
    ///     perl.hash(c"Made::bodies")?.set(name, body)?;
    ///     Ok((&perl.array(c"Made::names")?).into())
    /// }
    ///
    /// /// `answer()`: of `Made::answer`
    /// fn answer(call: &Call<'_>) -> Result<Value> {
    ///     let code = call.perl().code(c"Made::answer")?;
    ///     let code = code.ok_or_else(|| Error::croak("no answer"))?;
    ///     Ok(code.call(&[])?.into())
    /// }
    /// ```
    /// ```perl
    /// answer();                       # dies: no answer
    /// define('answer', '6 * 7');      # ['answer']
    /// answer();                       # 42
    /// $Made::bodies{answer};          # '6 * 7'
    /// define('broken', '6 *');        # dies: syntax error at
    /// ```
    pub fn eval(self, text: &str) -> Result<Scalar> {
        let text = Scalar::new(self, text);
        let result = Scalar::stored(self, |out, error| {
            // SAFETY: a live scalar of this interpreter; the places outlive the call.
            unsafe { ffi::perlxs_eval(self.raw(), text.raw(), out, error) }
        })?;
        Ok(result.expect("a result"))
    }

    /// Warns, as perl's `warn` does: by `$SIG{__WARN__}` if there is one; with the place of the
    /// call if the text does not end in a newline (perlapi: `warn_sv`).
    ///
    /// Returns `Err` if that handler dies or exits.
    ///
    /// ```
    /// # use perlxs::*;
    /// fn half(call: &Call<'_>) -> Result<Value> {
    ///     let n = call.arg(0).number()?.integer().unwrap_or(0) as i64;
    ///     if n % 2 != 0 {
    ///         call.perl().warn_if(c"numeric", &format!("{n} is odd"))?;
    ///     }
    ///     if n > 100 {
    ///         call.perl().warn("much")?;
    ///     }
    ///     Ok((n / 2).into())
    /// }
    /// ```
    /// ```perl
    /// local $SIG{__WARN__} = sub { push @Half::warnings, @_ };
    /// half(7);                                            # 3
    /// $Half::warnings[0] =~ /^7 is odd at /;              # 1
    /// { no warnings 'numeric'; half(107) }                # 53
    /// scalar @Half::warnings;                             # 2
    /// $Half::warnings[1] =~ /^much at /;                  # 1
    /// use warnings FATAL => 'numeric';
    /// half(3);                                            # dies: 3 is odd at
    /// ```
    pub fn warn(self, text: &str) -> Result<()> {
        self.warning(None, text)
    }

    /// As [`warn`](Perl::warn), if the caller's code has warnings of this category, one of perl's
    /// own (warnings; perlapi: `ck_warner`).
    ///
    /// Returns `Err` also if they are fatal there, or if perl has no such category.
    ///
    /// Example: [`Perl::warn`].
    pub fn warn_if(self, category: &CStr, text: &str) -> Result<()> {
        self.warning(Some(category), text)
    }

    fn warning(self, category: Option<&CStr>, text: &str) -> Result<()> {
        let text = Scalar::new(self, text);
        let category = category.map_or(ptr::null(), CStr::as_ptr);
        contained(self, |error| {
            // SAFETY: a C string or none, and a live scalar of this interpreter.
            unsafe { ffi::perlxs_warn(self.raw(), category, text.raw(), error) }
        })
    }

    /// Loads a module by its name, as in `Some::Module`, and imports nothing (perlapi:
    /// `load_module`).
    ///
    /// Returns `Err` if it is not found, or dies or exits while it is loaded.
    ///
    /// Example: [`Perl`].
    pub fn load_module(self, name: &str) -> Result<()> {
        contained(self, |error| {
            // SAFETY: a string with its length.
            unsafe { ffi::perlxs_load_module(self.raw, name.as_ptr().cast(), name.len(), error) }
        })
    }

    /// How many scalars, arrays, hashes and so on perl holds now: for tests that look for leaks
    /// (`PL_sv_count`).
    ///
    /// Example: [`Perl`].
    pub fn sv_count(self) -> usize {
        // SAFETY: this thread's interpreter.
        unsafe { ffi::perlxs_sv_count(self.raw()) }
    }

    /// How much is on perl's stacks now, in a fixed order that means nothing: for tests that look
    /// for what is left on them.
    ///
    /// Example: [`Perl`].
    pub fn depths(self) -> [usize; ffi::STACKS] {
        let mut depths = [0; ffi::STACKS];
        // SAFETY: this thread's interpreter, and room for as many as it has.
        unsafe { ffi::perlxs_depths(self.raw(), depths.as_mut_ptr()) }
        depths
    }
}
