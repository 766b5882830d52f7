//! XSUBs: Rust functions that perl calls.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_int};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};

use crate::guard::panic_text;
use crate::{Error, Perl, Result, Scalar, ffi};

/// A value on its way to perl.
///
/// Strings, numbers, `bool`, [`Scalar`]s and `Option`s of them are made one by `into()`, a
/// reference to an [`Array`](crate::Array), a [`Hash`](struct@crate::Hash), to
/// [`Code`](crate::Code) or an [`Object`](crate::Object) by `Value::from(&array)`.
///
/// ```
/// # use perlxs::*;
/// /// `give($name)`: one of each.
/// fn give(call: &Call<'_>) -> Result<Value> {
///     let name = call.arg(0).text()?.unwrap_or_default();
///     Ok(match name.as_str() {
///         "undef" => Value::Undef, // or ().into()
///         "true" => true.into(),
///         "int" => (-7).into(),
///         "float" => 0.5.into(),
///         "bytes" => vec![0xff, 0].into(),
///         "text" => "\u{20ac}".into(),
///         "option" => None::<i32>.into(),
///         "itself" => call.arg(0).into(),
///         "list" => Value::list([1, 2, 3]),
///         "mixed" => Value::List(vec![1.into(), "two".into()]),
///         "array" => (&Array::of(call.perl(), [1, 2])).into(),
///         _ => return Err(Error::croak(format!("no value '{name}'"))),
///     })
/// }
/// ```
/// ```perl
/// give('undef');                  # undef
/// give('true');                   # 1
/// give('int');                    # -7
/// give('float');                  # 0.5
/// give('bytes');                  # "\xff\0"
/// give('text');                   # "\x{20ac}"
/// give('option');                 # undef
/// give('itself');                 # 'itself'
/// give('list');                   # 1, 2, 3
/// scalar give('list');            # 3
/// give('mixed');                  # 1, 'two'
/// give('array');                  # [1, 2]
/// ```
#[derive(Clone, Debug)]
pub enum Value {
    /// undef
    Undef,
    /// perl's true or false.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    Uint(u64),
    /// A floating-point number.
    Float(f64),
    /// A string of bytes.
    Bytes(Vec<u8>),
    /// A string of characters.
    Text(String),
    /// A scalar as it is, not a copy.
    Scalar(Scalar),
    /// Several values, or none. Where one is wanted, by a caller in scalar context or in
    /// [`Scalar::new`], it is the last, or undef: as with perl's comma. [`Call::context`] is for
    /// XSUBs that return something else there.
    List(Vec<Value>),
}

impl Value {
    /// A [`Value::List`].
    ///
    /// Example: [`Value`].
    pub fn list<V: Into<Value>>(values: impl IntoIterator<Item = V>) -> Self {
        Value::List(values.into_iter().map(Into::into).collect())
    }
}

macro_rules! value_from {
    ($($type:ty => $variant:ident),* $(,)?) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Value::$variant(value.into())
            }
        }
    )*};
}

value_from! {
    bool => Bool,
    i32 => Int,
    i64 => Int,
    u32 => Uint,
    u64 => Uint,
    f64 => Float,
    &[u8] => Bytes,
    Vec<u8> => Bytes,
    &str => Text,
    String => Text,
    Scalar => Scalar,
}

impl From<()> for Value {
    fn from((): ()) -> Self {
        Value::Undef
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Value::Uint(value as u64)
    }
}

impl From<&Scalar> for Value {
    fn from(value: &Scalar) -> Self {
        Value::Scalar(value.clone())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    /// `None` is undef.
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Undef, Into::into)
    }
}

/// What the caller of an XSUB takes (perlfunc: `wantarray`).
///
/// ```
/// # use perlxs::*;
/// /// `divide($n, $by)`: in list context quotient and rest, else the quotient.
/// fn divide(call: &Call<'_>) -> Result<Value> {
///     let mut numbers = [0; 2];
///     for (number, sv) in numbers.iter_mut().zip(call.args()) {
///         *number = sv.number()?.integer().unwrap_or(0) as i64;
///     }
///     let [n, by] = numbers;
///     if by == 0 {
///         return Err(Error::croak("division by zero"));
///     }
///     Ok(match call.context() {
///         Context::List => Value::list([n / by, n % by]),
///         Context::Scalar => (n / by).into(),
///         Context::Void => Value::Undef, // nobody looks
///     })
/// }
/// ```
/// ```perl
/// divide(17, 5);                  # 3, 2
/// scalar divide(17, 5);           # 3
/// divide(1, 0);                   # dies: division by zero
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// Nothing.
    Void,
    /// One value.
    Scalar,
    /// Any number of values.
    List,
}

/// The Rust function of an XSUB, as a pointer. What it returns is what the caller gets; an `Err` is
/// thrown.
///
/// Example: [`Xsub`].
pub type Body = for<'c> fn(&Call<'c>) -> Result<Value>;

/// One XSUB: its name, what it takes, and the function that does it.
///
/// ```
/// # use perlxs::*;
/// /// `sum(@numbers)`
/// fn sum(call: &Call<'_>) -> Result<Value> {
///     let mut sum = 0;
///     for sv in call.args() {
///         sum += sv.number()?.integer().unwrap_or(0) as i64;
///     }
///     Ok(sum.into())
/// }
///
/// /// `successor($n)`
/// fn successor(call: &Call<'_>) -> Result<Value> {
///     let n = call.arg(0).number()?.integer();
///     let n = n.ok_or_else(|| Error::croak("successor needs an integer"))?;
///     Ok(Value::Int((n as i64).wrapping_add(1)))
/// }
///
/// static SUM: Xsub = Xsub::new(c"Math::sum", c"...", 0, None, sum).prototype(c"@");
///
/// const SUCCESSOR_BODY: Body = successor;
/// static SUCCESSOR: Xsub =
///     Xsub::new(c"Math::successor", c"n", 1, Some(1), |call| SUCCESSOR_BODY(call));
///
/// fn module() -> Module {
///     Module::new(c"Math", c"1.0", &[&SUM, &SUCCESSOR])
/// }
///
/// perlxs::boot!(boot_Math, module);
/// ```
/// ```perl
/// XSLoader::load('Math', '1.0');
/// Math::sum(1 .. 4);              # 10
/// prototype 'Math::sum';          # '@'
/// Math::successor(41);            # 42
/// Math::successor('41');          # 42
/// Math::successor(1, 2);          # dies: Usage: Math::successor(n) at
/// Math::successor('x');           # dies: successor needs an integer
/// ```
#[repr(transparent)]
pub struct Xsub {
    pub(crate) raw: ffi::Xsub,
}

// SAFETY: the pointers are to 'static strings, and nothing is ever written.
unsafe impl Sync for Xsub {}

impl Xsub {
    /// - `name`: with its package, `Linux::Clone::unshare`.
    /// - `params`: for the message that a call with a wrong number of arguments dies of,
    ///   `Usage: NAME(PARAMS)` (perlapi: `croak_xs_usage`).
    /// - `min_args`, `max_args`: how many arguments it takes; `None` is no limit.
    /// - `body`: a function by its name, or a closure that captures nothing; what it returns is
    ///   what the caller gets, and an `Err` is thrown. (It is built into the XSUB: a pointer to a
    ///   function does not compile.)
    ///
    /// Example: [`Xsub`].
    pub const fn new<F>(
        name: &'static CStr,
        params: &'static CStr,
        min_args: u16,
        max_args: Option<u16>,
        body: F,
    ) -> Self
    where
        F: for<'c> Fn(&Call<'c>) -> Result<Value> + Copy + 'static,
    {
        const {
            assert!(
                size_of::<F>() == 0,
                "a function by its name, no pointer to one"
            )
        };
        let _ = body;
        Xsub {
            raw: ffi::Xsub {
                name: name.as_ptr(),
                params: params.as_ptr(),
                prototype: ptr::null(),
                body: enter::<F>,
                min_args: min_args as i32,
                max_args: match max_args {
                    Some(n) => n as i32,
                    None => -1,
                },
            },
        }
    }

    /// With this prototype (perlsub).
    ///
    /// Example: [`Xsub`].
    pub const fn prototype(mut self, prototype: &'static CStr) -> Self {
        self.raw.prototype = prototype.as_ptr();
        self
    }
}

/// One call of an XSUB: the interpreter and the arguments.
///
/// ```
/// # use perlxs::*;
/// /// `join_all($separator, $first, @rest)`: a separator, perhaps a first word, and more.
/// fn join_all(call: &Call<'_>) -> Result<Value> {
///     if call.is_empty() {
///         return Err(Error::croak("join_all needs a separator"));
///     }
///     let separator = call.arg(0).text()?.unwrap_or_default();
///     let first: Option<Arg<'_>> = call.get(1);
///     let Some(first) = first else {
///         return Ok("".into());
///     };
///     let mut text = first.text()?.unwrap_or_default();
///     for word in call.args().skip(2) {
///         text += &separator;
///         text += &word.text()?.unwrap_or_default();
///     }
///     Ok(Value::List(vec![text.into(), (call.len() as u64 - 1).into()]))
/// }
///
/// fn scalars(call: &Call<'_>) -> Result<Value> {
///     Ok((call.perl().sv_count() > 0).into())
/// }
/// ```
/// ```perl
/// join_all('-', 1, 2, 3);         # '1-2-3', 3
/// join_all('-');                  # ''
/// join_all();                     # dies: join_all needs a separator
/// scalars();                      # 1
/// ```
pub struct Call<'c> {
    perl: Perl,
    raw: *mut ffi::Call,
    body: PhantomData<&'c ()>,
}

/// A scalar that is lent, used as a [`Scalar`] ([`Deref`]): an argument, an element. It is the
/// caller's own, not a copy. `clone()` gives one that is counted, to be kept for longer.
///
/// Example: [`Call`].
pub struct Arg<'a> {
    // perl, or the shim once anything can free it, holds the reference
    scalar: ManuallyDrop<Scalar>,
    call: PhantomData<&'a ()>,
}

impl Arg<'_> {
    /// Lends a scalar whose reference somebody else keeps, and gives up.
    pub(crate) fn new(scalar: Scalar) -> Self {
        Arg {
            scalar: ManuallyDrop::new(scalar),
            call: PhantomData,
        }
    }
}

impl AsRef<Scalar> for Arg<'_> {
    #[inline]
    fn as_ref(&self) -> &Scalar {
        self
    }
}

impl Deref for Arg<'_> {
    type Target = Scalar;

    #[inline]
    fn deref(&self) -> &Scalar {
        &self.scalar
    }
}

impl fmt::Debug for Arg<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.scalar.fmt(f)
    }
}

impl From<Arg<'_>> for Value {
    fn from(arg: Arg<'_>) -> Self {
        Value::Scalar(arg.clone())
    }
}

impl From<&Arg<'_>> for Value {
    fn from(arg: &Arg<'_>) -> Self {
        Value::Scalar((*arg).clone())
    }
}

impl Call<'_> {
    /// The interpreter that calls.
    ///
    /// Example: [`Call`].
    pub fn perl(&self) -> Perl {
        self.perl
    }

    /// The number of arguments.
    ///
    /// Example: [`Call`].
    pub fn len(&self) -> usize {
        // SAFETY: the shim's struct, alive while the body runs.
        unsafe { (*self.raw).nargs }
    }

    /// Whether there are none.
    ///
    /// Example: [`Call`].
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Argument `i`, counted from 0: the caller's own scalar, not a copy.
    ///
    /// # Panics
    /// If there are not so many; [`get`](Call::get) asks.
    ///
    /// Example: [`Call`].
    #[inline]
    pub fn arg(&self, i: usize) -> Arg<'_> {
        self.get(i).expect("an argument below Xsub's min_args")
    }

    /// Argument `i`, counted from 0, or `None` if there are not so many.
    ///
    /// Example: [`Call`].
    #[inline]
    pub fn get(&self, i: usize) -> Option<Arg<'_>> {
        if i >= self.len() {
            return None;
        }
        // SAFETY: `nargs` scalars, which live until the body has returned: what could free one
        // makes the shim hold them all.
        let scalar = unsafe { Scalar::from_owned(self.perl, *(*self.raw).args.add(i)) };
        Some(Arg::new(scalar))
    }

    /// All arguments; `skip(n)` leaves those after the first `n`.
    ///
    /// Example: [`Call`].
    pub fn args(&self) -> impl DoubleEndedIterator<Item = Arg<'_>> + ExactSizeIterator {
        (0..self.len()).map(|i| self.arg(i))
    }

    /// What the caller takes. Whatever it is, the body may return any [`Value`].
    ///
    /// Example: [`Context`].
    pub fn context(&self) -> Context {
        // SAFETY: this thread's interpreter, in an XSUB.
        match unsafe { ffi::perlxs_call_context(self.perl.raw()) } {
            ffi::CONTEXT_LIST => Context::List,
            ffi::CONTEXT_SCALAR => Context::Scalar,
            _ => Context::Void,
        }
    }

    #[cfg(feature = "process")]
    pub(crate) fn raw(&self) -> *mut ffi::Call {
        self.raw
    }
}

/// What an XSUB left to be thrown; it says which status that is.
#[inline(never)]
fn throw(perl: Perl, error: Error, call: *mut ffi::Call) -> c_int {
    let exception = match error {
        Error::Croak(message) => Scalar::new(perl, message),
        Error::Exception(exception) => exception,
        Error::Exit => return ffi::EXIT,
    };
    // SAFETY: the shim's struct, which waits for this.
    unsafe { (*call).error = exception.into_raw() };
    ffi::DIED
}

/// Where a call's result goes.
pub(crate) struct Returned {
    perl: Perl,
    call: *mut ffi::Call,
}

impl Returned {
    #[inline]
    fn result(&mut self) -> &mut ffi::Value {
        // SAFETY: the shim's struct, which waits for this; nobody else has it now.
        unsafe { &mut (*self.call).result }
    }

    fn scalar(&mut self, scalar: Scalar) {
        scalar.must_be_of(self.perl);
        self.result().sv = scalar.into_raw();
        self.result().kind = ffi::VALUE_SV;
    }

    fn string(&mut self, bytes: &[u8], is_utf8: bool) {
        let (p, len) = (bytes.as_ptr().cast(), bytes.len());
        let utf8 = c_int::from(is_utf8);
        // SAFETY: the string outlives the call, which copies it.
        unsafe { ffi::perlxs_call_return_string(self.perl.raw(), self.call, p, len, utf8) }
    }
}

impl Value {
    /// Hands it over.
    #[inline]
    fn give(self, to: &mut Returned) {
        let result = to.result();
        match self {
            Value::Undef => result.kind = ffi::VALUE_UNDEF,
            Value::Int(i) => (result.kind, result.integer) = (ffi::VALUE_INT, i),
            Value::Float(f) => (result.kind, result.real) = (ffi::VALUE_NUM, f),
            Value::Bool(true) => result.kind = ffi::VALUE_TRUE,
            Value::Bool(false) => result.kind = ffi::VALUE_FALSE,
            _ => return self.give_memory(to),
        }
        // there is nothing to drop, which the compiler would look for
        std::mem::forget(self);
    }

    #[inline(never)]
    fn give_memory(self, to: &mut Returned) {
        match self {
            Value::Bytes(bytes) if bytes.len() < LONG => to.string(&bytes, false),
            Value::Text(text) if text.len() < LONG => {
                to.string(text.as_bytes(), !text.is_ascii());
            }
            Value::Scalar(scalar) => to.scalar(scalar),
            Value::List(values) => {
                to.result().sv = Scalar::list(to.perl, values).into_raw();
                to.result().kind = ffi::VALUE_LIST;
            }
            Value::Bytes(_) | Value::Text(_) => to.scalar(Scalar::new(to.perl, self)),
            mut number => *to.result() = number.raw(to.perl),
        }
    }
}

/// From here on, in bytes, a string is not kept in perl's target of the call, which would hold on
/// to its memory, but in a temporary, whose string an assignment can take over.
const LONG: usize = 1024;

/// Calls the Rust function of an XSUB.
unsafe extern "C" fn enter<F>(
    interp: *mut ffi::Interp,
    _: *const ffi::Xsub,
    call: *mut ffi::Call,
) -> c_int
where
    F: for<'c> Fn(&Call<'c>) -> Result<Value> + Copy + 'static,
{
    // SAFETY: `Xsub::new` had one, and it has no size: there is nothing to read.
    let body = unsafe { NonNull::<F>::dangling().read() };
    // SAFETY: what the shim has passed.
    unsafe { entered(interp, call, body) }
}

/// One call of an XSUB: no panic of its body leaves it.
///
/// # Safety
/// Only from what the shim calls, with what it has passed.
#[inline]
pub(crate) unsafe fn entered(
    interp: *mut ffi::Interp,
    call: *mut ffi::Call,
    body: impl FnOnce(&Call<'_>) -> Result<Value>,
) -> c_int {
    let perl = Perl::from_raw(interp);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let arguments = Call {
            perl,
            raw: call,
            body: PhantomData,
        };
        match body(&arguments) {
            Ok(value) => {
                value.give(&mut Returned { perl, call });
                ffi::OK
            }
            Err(error) => throw(perl, error, call),
        }
    }));
    outcome.unwrap_or_else(|payload| throw(perl, Error::croak(panic_text(payload)), call))
}
