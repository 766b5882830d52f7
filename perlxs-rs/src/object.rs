//! Objects that own a Rust value.

#![allow(unsafe_code)]

use std::any::{TypeId, type_name};
use std::fmt;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};

use crate::guard::{contained, drop_panic, panic_text};
use crate::{Error, Perl, Result, Scalar, Value, ffi};

/// What the shim hangs on an object.
#[repr(C)]
struct Head {
    raw: ffi::Payload,
    type_id: TypeId,
}

#[repr(C)]
struct Payload<T> {
    head: Head,
    value: T,
}

/// A perl object that owns a Rust value; it is used as that value ([`Deref`]).
///
/// To perl it is a hash, empty at first, blessed into a class; perl code may keep what it likes in
/// it. The value is not in the hash: nothing that perl code does can reach, copy or forge it, and
/// whatever becomes of the object (blessed into another class, its hash emptied), it stays.
///
/// The value is dropped once, when perl frees the object: after its DESTROY, if the class has one,
/// whoever wrote that and however often it is called. An `Object` counts as a reference, so that
/// the value outlives it, even if a callback meanwhile gives up all others. A panic in the value's
/// drop becomes a warning, as a die in DESTROY does.
///
/// There is only a shared reference to the value: one that changes has a
/// [`Cell`](std::cell::Cell) or [`RefCell`](std::cell::RefCell) inside. It must be [`Send`]: an
/// interpreter may be freed by another thread than the one that it ran on. So it cannot hold a
/// [`Scalar`]; those can be in the object's hash ([`Scalar::hash`]).
///
/// In a new thread of perl's, the copy of an object owns nothing, and [`Scalar::object`] says so.
/// With `sub CLONE_SKIP { 1 }` in its class, perl makes it undef there (`perlmod`).
///
/// To perl it goes as a reference: `Value::from(&object)`.
///
/// ```
/// # use perlxs::*;
/// # use std::cell::Cell;
/// struct Counter {
///     count: Cell<i64>,
/// }
///
/// /// `Class->new($count)`
/// fn new(call: &Call<'_>) -> Result<Value> {
///     let count = call.arg(1).number()?.integer().unwrap_or(0) as i64;
///     let counter = Counter { count: Cell::new(count) };
///     Ok((&Object::new(call.perl(), call.arg(0), counter)?).into())
/// }
///
/// /// `$counter->increment`
/// fn increment(call: &Call<'_>) -> Result<Value> {
///     let counter = call.arg(0).object::<Counter>()?;
///     counter.count.set(counter.count.get() + 1);
///     Ok(counter.count.get().into())
/// }
///
/// impl Drop for Counter {
///     fn drop(&mut self) {
///         // runs once, when perl frees the object
///     }
/// }
/// ```
/// ```perl
/// @Up::ISA = __PACKAGE__;
/// my $counter = Up->new(41);
/// ref $counter;                   # 'Up'
/// $counter->increment;            # 42
/// increment({ count => 1 });      # dies: a reference to a HASH holds no
/// ```
pub struct Object<T> {
    referent: Scalar,
    value: NonNull<T>,
}

/// Drops the payload of an object that perl frees; no panic leaves it.
unsafe extern "C" fn drop_payload<T>(
    interp: *mut ffi::Interp,
    payload: *mut ffi::Payload,
) -> *mut ffi::Sv {
    // SAFETY: the shim gives back what `Object::new` gave to it, once.
    let payload = unsafe { Box::from_raw(payload.cast::<Payload<T>>()) };
    dropped(Perl::from_raw(interp), payload)
}

/// Drops what perl has owned; returns the text of a panic, owned, or null.
pub(crate) fn dropped<T>(perl: Perl, payload: Box<T>) -> *mut ffi::Sv {
    match catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        Ok(()) => ptr::null_mut(),
        // later, the panic hook's report has to do
        Err(panic) if !perl.is_alive() => {
            drop_panic(panic);
            ptr::null_mut()
        }
        Err(panic) => Scalar::new(perl, panic_text(panic)).into_raw(),
    }
}

impl<T: Send + 'static> Object<T> {
    /// A new object of `class`, the name of a class: in a constructor the first argument, so that
    /// it is a subclass where one is asked for.
    ///
    /// Returns `Err`, and drops the value, if `class` names none: undef, an empty string, a
    /// reference; if it is a class of `use feature 'class'`; if a tie or an overload method dies or
    /// exits.
    ///
    /// Example: [`Object`].
    pub fn new(perl: Perl, class: impl Into<Value>, value: T) -> Result<Self> {
        let class = Scalar::new(perl, class);
        let mut payload = Box::new(Payload {
            head: Head {
                raw: ffi::Payload {
                    drop: drop_payload::<T>,
                    interp: perl.raw(),
                },
                type_id: TypeId::of::<T>(),
            },
            value,
        });
        let raw = (&raw mut *payload).cast();
        let referent = Scalar::stored(perl, |out, error| {
            // SAFETY: a live scalar of this interpreter; the places outlive the call.
            unsafe { ffi::perlxs_object_new(perl.raw(), class.raw(), raw, out, error) }
        })?
        .expect("an object");
        // perl owns it now
        let payload = Box::leak(payload);
        Ok(Object {
            referent,
            value: NonNull::from(&mut payload.value),
        })
    }
}

impl Scalar {
    /// Hangs a value on this scalar, whatever it holds: the scalar owns it, and drops it when perl
    /// frees the scalar (perlguts: "Magic Virtual Tables", `PERL_MAGIC_ext`). A scalar can have one
    /// of each type. A copy of the scalar has none, nor has one in a new thread of perl's.
    ///
    /// Returns `Err`, and drops the value, if the scalar is read-only or a glob, or has one of this
    /// type.
    ///
    /// ```
    /// # use perlxs::*;
    /// # use std::cell::Cell;
    /// struct Seen(Cell<u64>);
    ///
    /// /// `seen($variable)`: how often it has been seen before.
    /// fn seen(call: &Call<'_>) -> Result<Value> {
    ///     let sv = call.arg(0);
    ///     if sv.attached::<Seen>().is_none() {
    ///         sv.attach(Seen(Cell::new(0)))?;
    ///     }
    ///     let seen = sv.attached::<Seen>().ok_or_else(|| Error::croak("nothing attached"))?;
    ///     seen.0.set(seen.0.get() + 1);
    ///     Ok((seen.0.get() - 1).into())
    /// }
    /// ```
    /// ```perl
    /// my ($x, $y) = (1, 2);
    /// seen($x); seen($x);
    /// $x = 'another value';
    /// seen($x);                       # 2
    /// seen($y);                       # 0
    /// seen(my $copy = $x);            # 0
    /// seen('constant');               # dies: a value can only be attached to a variable
    /// ```
    pub fn attach<T: Send + 'static>(&self, value: T) -> Result<()> {
        let perl = self.perl();
        if self.attached::<T>().is_some() {
            let what = type_name::<T>();
            return Err(Error::croak(format!("this scalar has a {what} already")));
        }
        let mut payload = Box::new(Payload {
            head: Head {
                raw: ffi::Payload {
                    drop: drop_payload::<T>,
                    interp: perl.raw(),
                },
                type_id: TypeId::of::<T>(),
            },
            value,
        });
        let raw = (&raw mut *payload).cast();
        contained(perl, |error| {
            // SAFETY: a live scalar of this interpreter; the payload is on the heap.
            unsafe { ffi::perlxs_attach(perl.raw(), self.raw(), raw, error) }
        })?;
        // perl owns it now
        Box::leak(payload);
        Ok(())
    }

    /// The value of this type that [`attach`](Scalar::attach) has hung on this scalar. As long as
    /// this is held, the scalar is, and so the value.
    ///
    /// Example: [`Scalar::attach`].
    pub fn attached<T: Send + 'static>(&self) -> Option<Object<T>> {
        for i in 0.. {
            // SAFETY: a live scalar of this interpreter.
            let payload = unsafe { ffi::perlxs_attached(self.perl().raw(), self.raw(), i) };
            if payload.is_null() {
                break;
            }
            // SAFETY: what `attach` has made, alive with its scalar, which the object keeps.
            unsafe {
                if (*payload.cast::<Head>()).type_id == TypeId::of::<T>() {
                    let value = &raw mut (*payload.cast::<Payload<T>>()).value;
                    return Some(Object {
                        referent: self.clone(),
                        value: NonNull::new_unchecked(value),
                    });
                }
            }
        }
        None
    }
}

/// What a scalar that should be an object refers to.
pub(crate) enum Lookup<T> {
    Found(Object<T>),
    /// An object, but its value stayed in another thread.
    Empty,
    /// Something else, or an object with a value of another type.
    Other,
}

impl Scalar {
    /// The object that this refers to, with the value of type `T` that [`Object::new`] gave it.
    ///
    /// Returns `Err` with a message to croak with if it is something else, or owns a value of
    /// another type, or is the copy in a new thread, which owns none; and if a tie method dies or
    /// exits.
    ///
    /// Example: [`Object`].
    pub fn object<T: Send + 'static>(&self) -> Result<Object<T>> {
        match self.lookup()? {
            Lookup::Found(object) => Ok(object),
            Lookup::Empty => Err(self.is_empty_object()),
            Lookup::Other => {
                let (what, wanted) = (self.describe(), type_name::<T>());
                Err(Error::croak(format!("{what} holds no {wanted}")))
            }
        }
    }

    /// What [`object`](Scalar::object) finds.
    pub(crate) fn lookup<T: Send + 'static>(&self) -> Result<Lookup<T>> {
        let perl = self.perl();
        let mut payload: *mut ffi::Payload = ptr::null_mut();
        let referent = Scalar::stored(perl, |out, error| {
            // SAFETY: a live scalar of this interpreter; the places outlive the call.
            unsafe { ffi::perlxs_object_payload(perl.raw(), self.raw(), out, &mut payload, error) }
        })?;
        let Some(referent) = referent else {
            return Ok(Lookup::Other);
        };
        if payload.is_null() {
            return Ok(Lookup::Empty);
        }
        // SAFETY: what `new` has made, alive with its object, which `referent` keeps.
        unsafe {
            if (*payload.cast::<Head>()).type_id != TypeId::of::<T>() {
                return Ok(Lookup::Other);
            }
            let value = NonNull::new_unchecked(&raw mut (*payload.cast::<Payload<T>>()).value);
            Ok(Lookup::Found(Object { referent, value }))
        }
    }

    /// Why an object from another thread is none here.
    #[cold]
    pub(crate) fn is_empty_object(&self) -> Error {
        let what = self.describe();
        Error::croak(format!(
            "{what} holds nothing in this thread, as it was made in another"
        ))
    }
}

impl<T> Deref for Object<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: perl drops it when it frees the object, of which `referent` is a reference.
        unsafe { self.value.as_ref() }
    }
}

impl<T> Clone for Object<T> {
    /// Another reference to the same object.
    fn clone(&self) -> Self {
        Object {
            referent: self.referent.clone(),
            value: self.value,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Object<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Object").field(&**self).finish()
    }
}

impl<T> From<&Object<T>> for Value {
    /// A reference to the object.
    fn from(object: &Object<T>) -> Self {
        Value::Scalar(object.referent.reference())
    }
}

impl<T> From<Object<T>> for Value {
    /// A reference to the object.
    fn from(object: Object<T>) -> Self {
        (&object).into()
    }
}
