//! Calling perl from Rust.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::{iter, ptr, thread};

use crate::guard::contained;
use crate::{Arg, Perl, Result, Scalar, Value, ffi};

/// A perl sub that can be called.
///
/// ```
/// # use perlxs::*;
/// /// `apply($code, @values)`: the code is called for each; all that it returns.
/// fn apply(call: &Call<'_>) -> Result<Value> {
///     let sv = call.arg(0);
///     let Some(code) = sv.code()? else {
///         return Err(Error::croak(format!("apply needs code, not {}", sv.describe())));
///     };
///     let mut results = Vec::new();
///     for value in call.args().skip(1) {
///         results.extend(code.call_list(&[value.clone()])?);
///     }
///     Ok(Value::list(results))
/// }
///
/// /// `attempt($code)`: what it returns, or what it died of.
/// fn attempt(call: &Call<'_>) -> Result<Value> {
///     let code = call.arg(0).code()?.ok_or_else(|| Error::croak("attempt needs code"))?;
///     match code.call(&[Scalar::new(code.perl(), "argument")]) {
///         Ok(value) => Ok(value.into()),
///         Err(Error::Exception(exception)) => Ok(exception.into()),
///         Err(exit) => Err(exit), // perl is on its way out
///     }
/// }
/// ```
/// ```perl
/// apply(sub { ($_[0]) x 2 }, 1, 2);       # 1, 1, 2, 2
/// apply([], 1);                           # dies: apply needs code, not a reference to an ARRAY
/// apply(sub { die "oh\n" }, 1);           # dies: oh
/// attempt(sub { "got @_" });              # 'got argument'
/// attempt(sub { die [7] });               # [7]
/// ```
#[derive(Clone, Debug)]
pub struct Code {
    cv: Scalar,
}

impl Code {
    pub(crate) fn new(cv: Scalar) -> Self {
        Code { cv }
    }

    /// The interpreter that it belongs to.
    ///
    /// Example: [`Code`].
    pub fn perl(&self) -> Perl {
        self.cv.perl()
    }

    #[cfg(feature = "process")]
    pub(crate) fn cv(&self) -> &Scalar {
        &self.cv
    }

    /// Calls the sub in scalar context with `args` and returns a copy of what it returns
    /// (perlapi: `call_sv`).
    ///
    /// Returns `Err` if it dies or exits. It cannot leave by `last`, `next`, `redo` or `goto`:
    /// to perl that is an error, which it may catch or die of.
    ///
    /// Example: [`Code`].
    pub fn call(&self, args: &[Scalar]) -> Result<Scalar> {
        Self::run(&self.cv, 0, args)
    }

    /// As [`call`](Code::call), in list context: copies of all that it returns.
    ///
    /// Example: [`Code`].
    pub fn call_list(&self, args: &[Scalar]) -> Result<Vec<Scalar>> {
        Ok(Self::run(&self.cv, ffi::CALL_LIST, args)?.unpacked())
    }

    /// Calls the sub for each item, which is `$_`, as perl's `grep` does: without arguments, and
    /// without a guard for each (perlapi: `MULTICALL`). `see` gets the item, and whether what the
    /// sub returned is true; with [`ControlFlow::Break`] that was all.
    ///
    /// Returns `Err` as [`call`](Code::call) does; with what `see` breaks.
    ///
    /// ```
    /// # use perlxs::*;
    /// # use std::ops::ControlFlow;
    /// /// `first_index($code, @values)`: the first for which the code is true, or -1.
    /// fn first_index(call: &Call<'_>) -> Result<Value> {
    ///     let code = call.arg(0).code()?.ok_or_else(|| Error::croak("needs code"))?;
    ///     let mut index = -1;
    ///     let found = code.test_each(call.args().skip(1), |_, is_true| {
    ///         index += 1;
    ///         if is_true { ControlFlow::Break(index) } else { ControlFlow::Continue(()) }
    ///     })?;
    ///     Ok(found.unwrap_or(-1).into())
    /// }
    /// ```
    /// ```perl
    /// first_index(sub { $_ > 2 }, 1 .. 5);    # 2
    /// first_index(sub { 0 }, 1 .. 5);         # -1
    /// first_index(sub { die "oh\n" }, 1);     # dies: oh
    /// ```
    pub fn test_each<I: AsRef<Scalar>, B>(
        &self,
        items: impl IntoIterator<Item = I>,
        mut see: impl FnMut(&I, bool) -> ControlFlow<B>,
    ) -> Result<Option<B>> {
        let perl = self.perl();
        let mut items = items.into_iter();
        let mut item: Option<I> = None;
        self.each(ffi::LOOP_TRUTH, |result| {
            if let (Some(item), Some((_, is_true))) = (&item, result) {
                see(item, is_true)?;
            }
            item = items.next();
            ControlFlow::Continue(item.as_ref().map(|item| [item.as_ref().raw_of(perl); 2]))
        })
    }

    /// As [`test_each`](Code::test_each), for what the sub returns: `see` gets it in the place of
    /// whether it is true. It is there until the sub is called again: `copy()` keeps it.
    ///
    /// ```
    /// # use perlxs::*;
    /// # use std::ops::ControlFlow;
    /// /// `sum_by($code, @values)`
    /// fn sum_by(call: &Call<'_>) -> Result<Value> {
    ///     let code = call.arg(0).code()?.ok_or_else(|| Error::croak("needs code"))?;
    ///     let mut sum = 0;
    ///     let failed = code.call_each(call.args().skip(1), |_, result| match result.number() {
    ///         Ok(number) => {
    ///             sum += number.integer().unwrap_or(0) as i64;
    ///             ControlFlow::Continue(())
    ///         }
    ///         Err(error) => ControlFlow::Break(error),
    ///     })?;
    ///     failed.map_or(Ok(sum.into()), Err)
    /// }
    /// ```
    /// ```perl
    /// sum_by(sub { $_ * 2 }, 1, 20);  # 42
    /// ```
    pub fn call_each<I: AsRef<Scalar>, B>(
        &self,
        items: impl IntoIterator<Item = I>,
        see: impl FnMut(&I, &Scalar) -> ControlFlow<B>,
    ) -> Result<Option<B>> {
        self.see_each(0, items, see)
    }

    /// As [`call_each`](Code::call_each), with the item as an argument, in the place of `$_`: for a
    /// sub that looks at `@_`.
    ///
    /// ```
    /// # use perlxs::*;
    /// # use std::ops::ControlFlow;
    /// /// `first_negative($code, $n)`: the first of 0, 1 ... below `$n` for which it is negative.
    /// fn first_negative(call: &Call<'_>) -> Result<Value> {
    ///     let code = call.arg(0).code()?.ok_or_else(|| Error::croak("needs code"))?;
    ///     let n = call.arg(1).number()?.integer().unwrap_or(0) as i64;
    ///     let numbers = (0..n).map(|i| Scalar::new(call.perl(), i));
    ///     let mut i = -1;
    ///     let found = code.call_with_each(numbers, |_, result| {
    ///         i += 1;
    ///         match result.number() {
    ///             Ok(Number::Int(..0)) => ControlFlow::Break(Ok(i)),
    ///             Ok(_) => ControlFlow::Continue(()),
    ///             Err(error) => ControlFlow::Break(Err(error)),
    ///         }
    ///     })?;
    ///     Ok(found.transpose()?.into())
    /// }
    /// ```
    /// ```perl
    /// first_negative(sub { 3 - $_[0] }, 10);  # 4
    /// first_negative(sub { 1 }, 3);           # undef
    /// ```
    pub fn call_with_each<I: AsRef<Scalar>, B>(
        &self,
        items: impl IntoIterator<Item = I>,
        see: impl FnMut(&I, &Scalar) -> ControlFlow<B>,
    ) -> Result<Option<B>> {
        self.see_each(ffi::LOOP_ARGUMENT, items, see)
    }

    fn see_each<I: AsRef<Scalar>, B>(
        &self,
        how: c_int,
        items: impl IntoIterator<Item = I>,
        mut see: impl FnMut(&I, &Scalar) -> ControlFlow<B>,
    ) -> Result<Option<B>> {
        let perl = self.perl();
        let mut items = items.into_iter();
        let mut item: Option<I> = None;
        self.each(how, |result| {
            if let (Some(item), Some((result, _))) = (&item, result) {
                see(item, &result)?;
            }
            item = items.next();
            ControlFlow::Continue(item.as_ref().map(|item| [item.as_ref().raw_of(perl); 2]))
        })
    }

    /// Reduces items to one value: the sub is called with `$a`, what there is so far, and `$b`, the
    /// next, and returns what is `$a` then (List::Util: `reduce`). `None` if there are no items.
    ///
    /// Returns `Err` as [`call`](Code::call) does.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `fold($code, @values)`
    /// fn fold(call: &Call<'_>) -> Result<Value> {
    ///     let code = call.arg(0).code()?.ok_or_else(|| Error::croak("needs code"))?;
    ///     Ok(code.reduce(call.args().skip(1))?.into())
    /// }
    /// ```
    /// ```perl
    /// fold(sub { $a . $b }, 'a' .. 'e');      # 'abcde'
    /// fold(sub { $a + $b }, 7);               # 7
    /// fold(sub { $a + $b });                  # undef
    /// ```
    pub fn reduce<I: AsRef<Scalar>>(
        &self,
        items: impl IntoIterator<Item = I>,
    ) -> Result<Option<Scalar>> {
        let perl = self.perl();
        let mut items = items.into_iter();
        let Some(first) = items.next() else {
            return Ok(None);
        };
        let mut so_far = first.as_ref().copy()?;
        let mut item: Option<I> = None;
        let failed = self.each(ffi::LOOP_PAIRS, |result| {
            if let Some((result, _)) = result {
                match result.copy() {
                    Ok(result) => so_far = result,
                    Err(error) => return ControlFlow::Break(error),
                }
            }
            item = items.next();
            ControlFlow::Continue(
                item.as_ref()
                    .map(|item| [so_far.raw(), item.as_ref().raw_of(perl)]),
            )
        })?;
        failed.map_or(Ok(Some(so_far)), Err)
    }

    /// The loop of these: `next` gets the last result, and gives what the sub is to be called with.
    fn each<B>(
        &self,
        how: c_int,
        next: impl FnMut(Option<(Arg<'_>, bool)>) -> ControlFlow<B, Option<[*mut ffi::Sv; 2]>>,
    ) -> Result<Option<B>> {
        let perl = self.perl();
        let mut steps = Steps {
            perl,
            next,
            end: None,
        };
        let step = step_of(&steps);
        let context = (&raw mut steps).cast();
        let outcome = contained(perl, |error| {
            // SAFETY: a live sub of this interpreter; `step` is for this context, which outlives
            // the call.
            unsafe { ffi::perlxs_code_loop(perl.raw(), self.cv.raw(), how, step, context, error) }
        });
        match steps.end {
            Some(Err(panic)) => resume_unwind(panic),
            Some(Ok(broken)) => outcome.map(|()| Some(broken)),
            None => outcome.map(|()| None),
        }
    }

    /// Calls `code` in the way that [`ffi::CALL_LIST`] and its like say; returns a scalar, or an
    /// array.
    pub(crate) fn run<'a>(
        code: &Scalar,
        how: c_int,
        args: impl IntoIterator<Item = &'a Scalar>,
    ) -> Result<Scalar> {
        let perl = code.perl();
        let args = args.into_iter().map(|arg| arg.raw_of(perl));
        let args: Vec<_> = args.collect();
        let result = Scalar::stored(perl, |out, error| {
            // SAFETY: live values of this interpreter; `args` and the places outlive the call.
            unsafe {
                let (p, len) = (args.as_ptr(), args.len());
                ffi::perlxs_code_call(perl.raw(), code.raw(), how, p, len, out, error)
            }
        })?;
        Ok(result.expect("a result"))
    }
}

/// What goes on between the calls of a loop.
struct Steps<F, B> {
    perl: Perl,
    next: F,
    /// What it was broken with, or a panic.
    end: Option<thread::Result<B>>,
}

fn step_of<F, B>(_: &Steps<F, B>) -> ffi::Step
where
    F: FnMut(Option<(Arg<'_>, bool)>) -> ControlFlow<B, Option<[*mut ffi::Sv; 2]>>,
{
    step::<F, B>
}

/// One step; no panic leaves it.
unsafe extern "C" fn step<F, B>(
    context: *mut c_void,
    result: *mut ffi::Sv,
    is_true: c_int,
    items: *mut *mut ffi::Sv,
) -> c_int
where
    F: FnMut(Option<(Arg<'_>, bool)>) -> ControlFlow<B, Option<[*mut ffi::Sv; 2]>>,
{
    // SAFETY: the shim gives back what `each` gave to it.
    let steps = unsafe { &mut *context.cast::<Steps<F, B>>() };
    let perl = steps.perl;
    let next = &mut steps.next;
    let result = (!result.is_null()).then(|| {
        // SAFETY: a live scalar, lent until this returns.
        let result = Arg::new(unsafe { Scalar::from_owned(perl, result) });
        (result, is_true != 0)
    });
    match catch_unwind(AssertUnwindSafe(|| next(result))) {
        Ok(ControlFlow::Continue(Some(next))) => {
            // SAFETY: room for two.
            unsafe { ptr::copy_nonoverlapping(next.as_ptr(), items, next.len()) }
            return 1;
        }
        Ok(ControlFlow::Continue(None)) => {}
        Ok(ControlFlow::Break(broken)) => steps.end = Some(Ok(broken)),
        Err(panic) => steps.end = Some(Err(panic)),
    }
    0
}

impl Scalar {
    /// The code that this is or names: a CODE reference, an object that overloads `&{}`, a glob
    /// with a sub or a reference to one, the name of a defined sub (perlapi: `sv_2cv`, but for
    /// names, which it does not define). `None` for anything else.
    ///
    /// Returns `Err` if a tie or an overload method dies or exits.
    ///
    /// Example: [`Code`].
    pub fn code(&self) -> Result<Option<Code>> {
        let cv = Self::stored(self.perl(), |out, error| {
            // SAFETY: a live scalar of this interpreter; the places outlive the call.
            unsafe { ffi::perlxs_sv_code(self.perl().raw(), self.raw(), out, error) }
        })?;
        Ok(cv.map(Code::new))
    }

    /// Calls the method `name` of this object, or of the class that this names, in scalar context,
    /// and returns a copy of what it returns (perlapi: `call_method`).
    ///
    /// Returns `Err` as [`Code::call`] does, and if there is no such method.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `read_line($handle)`: by the handle's own method, whatever its class.
    /// fn read_line(call: &Call<'_>) -> Result<Value> {
    ///     let line = call.arg(0).call_method("getline", &[])?.text()?;
    ///     Ok(line.map(|line| line.trim_end().to_string()).into())
    /// }
    ///
    /// /// `read_all($handle)`
    /// fn read_all(call: &Call<'_>) -> Result<Value> {
    ///     Ok(Value::list(call.arg(0).call_method_list("getlines", &[])?))
    /// }
    ///
    /// /// `make($class, @args)`: a class method.
    /// fn make(call: &Call<'_>) -> Result<Value> {
    ///     let args: Vec<Scalar> = call.args().skip(1).map(|arg| arg.clone()).collect();
    ///     Ok(call.arg(0).call_method("new", &args)?.into())
    /// }
    /// ```
    /// ```perl
    /// use IO::Handle ();
    /// open my $in, '<', \"a\nb\nc\n" or die $!;
    /// read_line($in);                 # 'a'
    /// read_all($in);                  # "b\n", "c\n"
    /// ref make('IO::Handle');         # 'IO::Handle'
    /// read_line([]);                  # dies: Can't call method "getline" on unblessed reference
    /// ```
    pub fn call_method(&self, name: &str, args: &[Scalar]) -> Result<Scalar> {
        self.called(name, 0, args)
    }

    /// As [`call_method`](Scalar::call_method), in list context.
    ///
    /// Example: [`Scalar::call_method`].
    pub fn call_method_list(&self, name: &str, args: &[Scalar]) -> Result<Vec<Scalar>> {
        Ok(self.called(name, ffi::CALL_LIST, args)?.unpacked())
    }

    fn called(&self, name: &str, how: c_int, args: &[Scalar]) -> Result<Scalar> {
        let name = Scalar::new(self.perl(), name);
        Code::run(&name, how | ffi::CALL_METHOD, iter::once(self).chain(args))
    }
}

impl From<&Code> for Value {
    /// A reference to the code.
    fn from(code: &Code) -> Self {
        Value::Scalar(code.cv.reference())
    }
}

impl From<Code> for Value {
    /// A reference to the code.
    fn from(code: Code) -> Self {
        (&code).into()
    }
}
