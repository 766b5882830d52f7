//! Rust types as classes of perl's: their methods take `&self` and `&mut self`.

#![allow(unsafe_code)]

use std::cell::{Cell, UnsafeCell};

use crate::object::Lookup;
use crate::typed::Name;
use crate::{Error, Object, Perl, Result, Scalar, Value};

/// A type whose values are objects in perl. A `class` of [`module!`](crate::module) implements it,
/// and [`IntoPerl`](crate::IntoPerl).
///
/// A function takes an object as `&T`, or as `&mut T`: as with a [`RefCell`](std::cell::RefCell)
/// the rules of borrowing are kept when it is called. While one function has `&mut T`, and calls
/// back into perl, another one that wants the same object croaks. The value is dropped once, when
/// perl frees the object.
///
/// What [`Object`] says holds too: the value is [`Send`], a subclass is one as in perl, and the
/// copy of an object in a new thread owns nothing.
///
/// ```
/// # use perlxs::*;
/// struct Stack(Vec<f64>);
///
/// perlxs::module! {
///     Some::Stacks "1.0";
///
///     class Stack {
///         fn new(numbers: Rest<f64>) -> Stack {
///             Stack(numbers.to_vec())
///         }
///
///         fn push(&mut self, number: f64) {
///             self.0.push(number);
///         }
///
///         /// Calls the code for each.
///         fn each(&self, code: Code) -> Result<usize> {
///             for &number in &self.0 {
///                 code.call(&[Scalar::new(code.perl(), number)])?;
///             }
///             Ok(self.0.len())
///         }
///
///         fn same(&self, other: &Stack) -> bool {
///             self.0 == other.0
///         }
///
///         fn package() -> &'static str {
///             Stack::PACKAGE
///         }
///     }
/// }
/// ```
/// ```perl
/// XSLoader::load('Some::Stacks', '1.0');
/// my $stack = Some::Stacks::Stack->new(1, 2);
/// $stack->push(3);                        # undef
/// $stack->each(sub { });                  # 3
/// $stack->same($stack);                   # 1
/// $stack->each(sub { $stack->push(4) });  # dies: self is in use: a call that has not returned
/// $stack->same([]);                       # dies: other must be an object of Some::Stacks::Stack
/// $stack->push;                           # dies: Usage: Some::Stacks::Stack::push(self, number)
/// Some::Stacks::Stack->package;           # 'Some::Stacks::Stack'
/// ```
pub trait Class: Sized + Send + 'static {
    /// The class of an object that is not made by a constructor.
    const PACKAGE: &'static str;
}

/// What an object of a class owns.
struct Owned<T> {
    /// How many `&T` there are; -1: a `&mut T`.
    borrows: Cell<isize>,
    value: UnsafeCell<T>,
}

/// What `class!` calls to make an object of a value, of `class` or of the type's own.
#[doc(hidden)]
pub fn bless<T: Class>(value: T, perl: Perl, class: Option<&Scalar>) -> Result<Value> {
    let owned = Owned {
        borrows: Cell::new(0),
        value: UnsafeCell::new(value),
    };
    let class = class.map_or_else(|| T::PACKAGE.into(), Value::from);
    Ok(Object::new(perl, class, owned)?.into())
}

/// An object that is borrowed: `&T`, or if `MUT` `&mut T`.
#[doc(hidden)]
pub struct Borrow<T: Class, const MUT: bool> {
    object: Object<Owned<T>>,
}

impl<T: Class, const MUT: bool> Borrow<T, MUT> {
    /// Returns `Err` if it is no such object, or if it is borrowed in a way that excludes this.
    pub(crate) fn new(sv: &Scalar, name: &Name<'_>) -> Result<Self> {
        let object = match sv.lookup::<Owned<T>>()? {
            Lookup::Found(object) => object,
            Lookup::Empty => return Err(sv.is_empty_object()),
            Lookup::Other => {
                return Err(name.must_be(&format!("an object of {}", T::PACKAGE), sv));
            }
        };
        let borrows = object.borrows.get();
        if borrows < 0 || MUT && borrows > 0 {
            return Err(Error::croak(format!(
                "{name} is in use: a call that has not returned {} it",
                if borrows < 0 { "changes" } else { "reads" }
            )));
        }
        object.borrows.set(if MUT { -1 } else { borrows + 1 });
        Ok(Borrow { object })
    }
}

impl<T: Class> Borrow<T, false> {
    pub(crate) fn get(&self) -> &T {
        // SAFETY: there is no `&mut T` while `borrows` is positive, and `object` keeps the value.
        unsafe { &*self.object.value.get() }
    }
}

impl<T: Class> Borrow<T, true> {
    pub(crate) fn get_mut(&mut self) -> &mut T {
        // SAFETY: while `borrows` is -1 there is no other reference, and `object` keeps the value.
        unsafe { &mut *self.object.value.get() }
    }
}

impl<T: Class, const MUT: bool> Drop for Borrow<T, MUT> {
    fn drop(&mut self) {
        let borrows = &self.object.borrows;
        borrows.set(if MUT { 0 } else { borrows.get() - 1 });
    }
}
