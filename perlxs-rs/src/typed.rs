//! Rust types as arguments and results.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::fmt;
use std::hash::{BuildHasher, Hash as HashKey};
use std::ops::Deref;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::class::{Borrow, Class};
use crate::error::from_any;
use crate::{
    Array, Bytes, Call, Code, Context, Error, Hash, Number, Object, Perl, Result, Scalar, Text,
    Value,
};

/// What an argument, or a part of it, is called in a message: `b`, `numbers[3]`, `options{level}`.
///
/// Example: [`FromPerl`].
#[derive(Clone, Copy, Debug)]
pub struct Name<'n>(Part<'n>);

#[derive(Clone, Copy, Debug)]
enum Part<'n> {
    Whole(&'n str),
    Element(&'n Name<'n>, usize),
    Value(&'n Name<'n>, &'n str),
    Key(&'n Name<'n>),
}

impl<'n> Name<'n> {
    /// The name of an argument.
    ///
    /// Example: [`FromPerl`].
    pub const fn new(name: &'n str) -> Self {
        Name(Part::Whole(name))
    }

    /// That of element `i` of an array of this name.
    ///
    /// Example: [`FromPerl`].
    pub const fn element(&'n self, i: usize) -> Self {
        Name(Part::Element(self, i))
    }

    /// That of the value of a key of a hash of this name.
    ///
    /// Example: [`FromPerl`].
    pub const fn value(&'n self, key: &'n str) -> Self {
        Name(Part::Value(self, key))
    }

    /// The error that says what the argument must be, and what it is: `NAME must be WHAT, not ...`
    /// ([`Scalar::describe`]).
    ///
    /// Example: [`FromPerl`].
    #[cold]
    pub fn must_be(&self, what: &str, sv: &Scalar) -> Error {
        Error::croak(format!("{self} must be {what}, not {}", sv.describe()))
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Part::Whole(name) => f.write_str(name),
            Part::Element(array, i) => write!(f, "{array}[{i}]"),
            Part::Value(hash, key) => write!(f, "{hash}{{{key}}}"),
            Part::Key(hash) => write!(f, "a key of {hash}"),
        }
    }
}

/// A type that an argument can have.
///
/// | Rust | perl |
/// |---|---|
/// | `i8` to `i64`, `u8` to `u64`, `isize`, `usize` | an integer in that range: `7`, `'7'`, `7.0` |
/// | `f32`, `f64` | a number |
/// | `bool` | anything, as `if` takes it |
/// | `String`, `&str`, `char` | a string of characters; no reference without overloading |
/// | `Vec<u8>`, `&[u8]` | a string of bytes |
/// | `PathBuf`, `OsString`, `&Path` | the name of a file, as `open` takes it |
/// | `Option<T>` | undef, or no argument, is `None` |
/// | `Vec<T>`, `[T; N]`, `HashSet<T>`, `BTreeSet<T>` | a reference to an array (of `N`) |
/// | `(A, B)` and so on | a reference to an array of as many |
/// | `HashMap<K, V>`, `BTreeMap<K, V>` | a reference to a hash |
/// | `Scalar`, `Array`, `Hash`, `Code`, `Number`, `Object<T>` | those |
/// | `&T`, `&mut T` of a [`Class`] | an object of it |
/// | [`Rest<T>`](Rest) | all arguments that are left |
/// | `&Call`, `Perl`, `Context` | no argument: the call, its interpreter, what its caller takes |
///
/// A reading obeys magic and overloading. What is something else is an error that says so:
/// `b must be an integer (i64), not the string "x"`.
///
/// For a type of your own write an implementation; `Option`s and arrays of it follow.
///
/// ```
/// # use perlxs::*;
/// #[derive(Clone, Copy)]
/// struct Celsius(f64);
///
/// impl FromPerl for Celsius {
///     fn from_perl(sv: &Scalar, name: &Name<'_>) -> Result<Self> {
///         match f64::from_perl(sv, name)? {
///             degrees if degrees >= -273.15 => Ok(Celsius(degrees)),
///             _ => Err(name.must_be("a temperature", sv)),
///         }
///     }
/// }
///
/// impl IntoPerl for Celsius {
///     fn into_perl(self, _: Perl) -> Result<Value> {
///         Ok(self.0.into())
///     }
/// }
///
/// perlxs::module! {
///     Some::Weather "1.0";
///
///     fn warmest(all: Vec<Celsius>) -> Option<Celsius> {
///         all.into_iter().max_by(|a, b| a.0.total_cmp(&b.0))
///     }
/// }
///
/// /// `first(\@array, \%hash)`: the same by hand.
/// fn first(call: &Call<'_>) -> Result<Value> {
///     let (array, hash) = (Name::new("array"), Name::new("hash"));
///     if let Some(sv) = Array::from_perl(&call.arg(0), &array)?.get(0)? {
///         return Celsius::from_perl(&sv, &array.element(0))?.into_perl(call.perl());
///     }
///     match Hash::from_perl(&call.arg(1), &hash)?.get("first")? {
///         Some(sv) => Celsius::from_perl(&sv, &hash.value("first"))?.into_perl(call.perl()),
///         None => Ok(Value::Undef),
///     }
/// }
/// ```
/// ```perl
/// XSLoader::load('Some::Weather', '1.0');
/// Some::Weather::warmest([1, 17.5, 3]);   # 17.5
/// Some::Weather::warmest([]);             # undef
/// Some::Weather::warmest([1, -300]);      # dies: all[1] must be a temperature, not -300 at
/// Some::Weather::warmest([1, 'x']);       # dies: all[1] must be a number, not the string "x" at
/// first([7], {});                         # 7
/// first([-300], {});                      # dies: array[0] must be a temperature, not -300 at
/// first([], { first => undef });          # dies: hash{first} must be a number, not undef at
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not read from perl",
    note = "implement `perlxs::FromPerl` for it; a class is taken as `&{Self}` or `&mut {Self}`"
)]
pub trait FromPerl: Sized {
    /// Whether the argument may be missing; then it is read as undef.
    const OPTIONAL: bool = false;

    /// Reads a scalar, which messages call `name`.
    ///
    /// Returns `Err` if it is something else, or if a tie or an overload method dies or exits.
    fn from_perl(sv: &Scalar, name: &Name<'_>) -> Result<Self>;

    /// Reads several: of a reference to an array, unless the type has another way.
    fn vec_from_perl(sv: &Scalar, name: &Name<'_>) -> Result<Vec<Self>> {
        let elements = Array::from_perl(sv, name)?.elements()?;
        let elements = elements.iter().enumerate();
        elements
            .map(|(i, element)| Self::from_perl(element, &name.element(i)))
            .collect()
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl FromPerl for $type {
            #[inline]
            fn from_perl(sv: &Scalar, name: &Name<'_>) -> Result<Self> {
                let number = sv.number()?;
                let integer = match number {
                    Number::Int(integer) => integer.try_into().ok(),
                    _ => None,
                };
                integer.map_or_else(|| other_integer(number, sv, name, stringify!($type)), Ok)
            }
        }

        impl IntoPerl for $type {
            fn into_perl(self, _: Perl) -> Result<Value> {
                // `usize` is of 64 bits at most
                Ok(i64::try_from(self).map_or(Value::Uint(self as u64), Value::Int))
            }
        }
    )*};
}

integers!(i8, i16, i32, i64, isize, u16, u32, u64, usize);

/// Several numbers, by chunks: `read` takes the usual ones.
fn numbers<T>(
    sv: &Scalar,
    name: &Name<'_>,
    read: impl Fn(Number) -> Option<T>,
    other: impl Fn(Number, &Scalar, &Name<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let array = Array::from_perl(sv, name)?;
    let mut values = Vec::new();
    for (i, number) in array.numbers().enumerate() {
        let number = number?;
        values.push(match read(number) {
            Some(value) => value,
            None => {
                let element = array.get(i)?;
                let element = element.unwrap_or_else(|| Scalar::new(sv.perl(), ()));
                other(number, &element, &name.element(i))?
            }
        });
    }
    Ok(values)
}

/// An integer that perl does not have as one of its signed ones.
#[cold]
fn other_integer<T: TryFrom<i128>>(
    number: Number,
    sv: &Scalar,
    name: &Name<'_>,
    what: &str,
) -> Result<T> {
    let integer = number.integer().and_then(|n| T::try_from(n).ok());
    integer.ok_or_else(|| name.must_be(&format!("an integer ({what})"), sv))
}

/// Several bytes are a string.
impl FromPerl for u8 {
    fn from_perl(sv: &Scalar, name: &Name<'_>) -> Result<Self> {
        other_integer(sv.number()?, sv, name, "u8")
    }

    fn vec_from_perl(sv: &Scalar, name: &Name<'_>) -> Result<Vec<Self>> {
        string(sv, name, "a string of bytes", sv.bytes()?)
    }
}

impl IntoPerl for u8 {
    fn into_perl(self, _: Perl) -> Result<Value> {
        Ok(Value::Int(self.into()))
    }

    fn vec_into_perl(values: Vec<Self>, _: Perl) -> Result<Value> {
        Ok(Value::Bytes(values))
    }
}

#[inline]
fn float(number: Number) -> Option<f64> {
    match number {
        Number::Float(float) => Some(float),
        Number::Int(integer) => Some(integer as f64),
        Number::Uint(integer) => Some(integer as f64),
        Number::Undef | Number::NotANumber => None,
    }
}

impl FromPerl for f64 {
    #[inline]
    fn from_perl(sv: &Scalar, name: &Name<'_>) -> Result<Self> {
        float(sv.number()?).ok_or_else(|| name.must_be("a number", sv))
    }

    fn vec_from_perl(sv: &Scalar, name: &Name<'_>) -> Result<Vec<Self>> {
        numbers(sv, name, float, |_, sv, name| {
            Err(name.must_be("a number", sv))
        })
    }
}

impl FromPerl for f32 {
    fn from_perl(sv: &Scalar, name: &Name<'_>) -> Result<Self> {
        Ok(f64::from_perl(sv, name)? as f32)
    }
}

impl FromPerl for bool {
    fn from_perl(sv: &Scalar, _: &Name<'_>) -> Result<Self> {
        sv.is_true()
    }
}

/// What has been read of a string, if it was one.
fn string<T>(sv: &Scalar, name: &Name<'_>, what: &str, read: Option<T>) -> Result<T> {
    match read {
        Some(string) if !sv.is_stringless() => Ok(string),
        _ => Err(name.must_be(what, sv)),
    }
}

impl FromPerl for String {
    fn from_perl(sv: &Scalar, name: &Name<'_>) -> Result<Self> {
        string(sv, name, "a string", sv.text()?)
    }
}

impl FromPerl for char {
    fn from_perl(sv: &Scalar, name: &Name<'_>) -> Result<Self> {
        let text = string(sv, name, "one character", sv.text()?)?;
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(char), None) => Ok(char),
            _ => Err(name.must_be("one character", sv)),
        }
    }
}

impl FromPerl for OsString {
    fn from_perl(sv: &Scalar, name: &Name<'_>) -> Result<Self> {
        let path = sv.file_name()?;
        path.map(OsString::from_vec)
            .ok_or_else(|| name.must_be("the name of a file", sv))
    }
}

impl FromPerl for PathBuf {
    fn from_perl(sv: &Scalar, name: &Name<'_>) -> Result<Self> {
        OsString::from_perl(sv, name).map(PathBuf::from)
    }
}

impl<T: FromPerl> FromPerl for Option<T> {
    const OPTIONAL: bool = true;

    fn from_perl(sv: &Scalar, name: &Name<'_>) -> Result<Self> {
        match sv.is_defined()? {
            true => T::from_perl(sv, name).map(Some),
            false => Ok(None),
        }
    }
}

impl FromPerl for Scalar {
    /// The caller's own, not a copy.
    fn from_perl(sv: &Scalar, _: &Name<'_>) -> Result<Self> {
        Ok(sv.clone())
    }
}

impl FromPerl for Number {
    fn from_perl(sv: &Scalar, name: &Name<'_>) -> Result<Self> {
        match sv.number()? {
            Number::Undef | Number::NotANumber => Err(name.must_be("a number", sv)),
            number => Ok(number),
        }
    }
}

impl FromPerl for Array {
    fn from_perl(sv: &Scalar, name: &Name<'_>) -> Result<Self> {
        let array = sv.array()?;
        array.ok_or_else(|| name.must_be("a reference to an array", sv))
    }
}

impl FromPerl for Hash {
    fn from_perl(sv: &Scalar, name: &Name<'_>) -> Result<Self> {
        let hash = sv.hash()?;
        hash.ok_or_else(|| name.must_be("a reference to a hash", sv))
    }
}

impl FromPerl for Code {
    fn from_perl(sv: &Scalar, name: &Name<'_>) -> Result<Self> {
        sv.code()?.ok_or_else(|| name.must_be("code", sv))
    }
}

impl<T: Send + 'static> FromPerl for Object<T> {
    fn from_perl(sv: &Scalar, _: &Name<'_>) -> Result<Self> {
        sv.object()
    }
}

impl<T: FromPerl> FromPerl for Vec<T> {
    fn from_perl(sv: &Scalar, name: &Name<'_>) -> Result<Self> {
        T::vec_from_perl(sv, name)
    }
}

impl<T: FromPerl, const N: usize> FromPerl for [T; N] {
    fn from_perl(sv: &Scalar, name: &Name<'_>) -> Result<Self> {
        Vec::from_perl(sv, name)?
            .try_into()
            .map_err(|values: Vec<T>| {
                Error::croak(format!(
                    "{name} must have {N} elements, not {}",
                    values.len()
                ))
            })
    }
}

impl<T: FromPerl + Eq + HashKey, S: BuildHasher + Default> FromPerl for HashSet<T, S> {
    fn from_perl(sv: &Scalar, name: &Name<'_>) -> Result<Self> {
        Ok(Vec::from_perl(sv, name)?.into_iter().collect())
    }
}

impl<T: FromPerl + Ord> FromPerl for BTreeSet<T> {
    fn from_perl(sv: &Scalar, name: &Name<'_>) -> Result<Self> {
        Ok(Vec::from_perl(sv, name)?.into_iter().collect())
    }
}

/// The keys and values of a hash, in perl's order.
fn pairs<K: FromPerl, V: FromPerl, M: FromIterator<(K, V)>>(
    sv: &Scalar,
    name: &Name<'_>,
) -> Result<M> {
    let items = Hash::from_perl(sv, name)?.items()?;
    let pair = |pair: &[Scalar]| {
        let key = pair[0].text()?.unwrap_or_default();
        let value = V::from_perl(&pair[1], &name.value(&key))?;
        Ok((K::from_perl(&pair[0], &Name(Part::Key(name)))?, value))
    };
    items.chunks_exact(2).map(pair).collect()
}

impl<K, V, S> FromPerl for HashMap<K, V, S>
where
    K: FromPerl + Eq + HashKey,
    V: FromPerl,
    S: BuildHasher + Default,
{
    fn from_perl(sv: &Scalar, name: &Name<'_>) -> Result<Self> {
        pairs(sv, name)
    }
}

impl<K: FromPerl + Ord, V: FromPerl> FromPerl for BTreeMap<K, V> {
    fn from_perl(sv: &Scalar, name: &Name<'_>) -> Result<Self> {
        pairs(sv, name)
    }
}

/// A type that a result can have, or a constant.
///
/// | Rust | perl |
/// |---|---|
/// | integers, floats, `bool`, `char`, `String`, `&str` | a scalar |
/// | `Vec<u8>`, `&[u8]`, `PathBuf`, `OsString` | a string of bytes |
/// | `()`, `None` | undef |
/// | `Vec<T>`, `&[T]`, `[T; N]`, `HashSet<T>`, `BTreeSet<T>` | a reference to a new array |
/// | `HashMap<K, V>`, `BTreeMap<K, V>` | a reference to a new hash |
/// | `Scalar`, `Value`, `Array`, `Hash`, `Code`, `Object<T>` | those |
/// | a [`Class`] | a new object |
/// | `(A, B)` and so on | a list; within something else a reference to an array |
/// | [`List`] of what can be iterated | a list |
/// | `Result<T, E>` | the value; or an exception, with what `E` displays |
///
/// As `E` any type will do that has a `Display`. [`Error`], also in a `Box<dyn std::error::Error>`,
/// stays the exception that it was.
///
/// For a type of your own write an implementation; `Option`s and arrays of it follow.
///
/// Example: [`FromPerl`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not made a value of perl's",
    note = "implement `perlxs::IntoPerl` for it; what can be iterated is returned as a \
            `perlxs::List`"
)]
pub trait IntoPerl: Sized {
    /// Makes it one value.
    ///
    /// Returns `Err` if that cannot be made.
    fn into_perl(self, perl: Perl) -> Result<Value>;

    /// Makes it what a function returns, which may be a list.
    #[doc(hidden)]
    fn into_return(self, perl: Perl, _class: Option<&Scalar>) -> Result<Value> {
        self.into_perl(perl)
    }

    /// Makes several a reference to an array, unless the type has another way.
    fn vec_into_perl(values: Vec<Self>, perl: Perl) -> Result<Value> {
        array(values, perl)
    }
}

/// A reference to a new array.
fn array<T: IntoPerl>(values: impl IntoIterator<Item = T>, perl: Perl) -> Result<Value> {
    Ok(Array::of(perl, list(values, perl)?).into())
}

fn list<T: IntoPerl>(values: impl IntoIterator<Item = T>, perl: Perl) -> Result<Vec<Value>> {
    let values = values.into_iter();
    values.map(|value| value.into_perl(perl)).collect()
}

macro_rules! values {
    ($($type:ty),* $(,)?) => {$(
        impl IntoPerl for $type {
            fn into_perl(self, _: Perl) -> Result<Value> {
                Ok(self.into())
            }
        }
    )*};
}

values! {
    (), bool, f64, &str, String, Value, Scalar, &Scalar, Array, &Array, Hash, &Hash, Code, &Code,
}

impl<T> IntoPerl for Object<T> {
    fn into_perl(self, _: Perl) -> Result<Value> {
        Ok(self.into())
    }
}

impl IntoPerl for f32 {
    fn into_perl(self, _: Perl) -> Result<Value> {
        Ok(f64::from(self).into())
    }
}

impl IntoPerl for char {
    fn into_perl(self, _: Perl) -> Result<Value> {
        Ok(self.to_string().into())
    }
}

impl IntoPerl for &String {
    fn into_perl(self, _: Perl) -> Result<Value> {
        Ok(self.as_str().into())
    }
}

impl IntoPerl for Cow<'_, str> {
    fn into_perl(self, _: Perl) -> Result<Value> {
        Ok(self.into_owned().into())
    }
}

impl IntoPerl for OsString {
    fn into_perl(self, _: Perl) -> Result<Value> {
        Ok(self.into_vec().into())
    }
}

impl IntoPerl for PathBuf {
    fn into_perl(self, perl: Perl) -> Result<Value> {
        self.into_os_string().into_perl(perl)
    }
}

impl<T: IntoPerl> IntoPerl for Option<T> {
    fn into_perl(self, perl: Perl) -> Result<Value> {
        self.map_or(Ok(Value::Undef), |value| value.into_perl(perl))
    }

    fn into_return(self, perl: Perl, class: Option<&Scalar>) -> Result<Value> {
        self.map_or(Ok(Value::Undef), |value| value.into_return(perl, class))
    }
}

impl<T: IntoPerl, E: fmt::Display + 'static> IntoPerl for Result<T, E> {
    fn into_perl(self, perl: Perl) -> Result<Value> {
        self.map_err(from_any)?.into_perl(perl)
    }

    fn into_return(self, perl: Perl, class: Option<&Scalar>) -> Result<Value> {
        self.map_err(from_any)?.into_return(perl, class)
    }
}

impl<T: IntoPerl> IntoPerl for Vec<T> {
    fn into_perl(self, perl: Perl) -> Result<Value> {
        T::vec_into_perl(self, perl)
    }
}

impl<T: IntoPerl + Clone> IntoPerl for &[T] {
    fn into_perl(self, perl: Perl) -> Result<Value> {
        self.to_vec().into_perl(perl)
    }
}

impl<T: IntoPerl, const N: usize> IntoPerl for [T; N] {
    fn into_perl(self, perl: Perl) -> Result<Value> {
        Vec::from(self).into_perl(perl)
    }
}

impl<T: IntoPerl, S> IntoPerl for HashSet<T, S> {
    fn into_perl(self, perl: Perl) -> Result<Value> {
        array(self, perl)
    }
}

impl<T: IntoPerl> IntoPerl for BTreeSet<T> {
    fn into_perl(self, perl: Perl) -> Result<Value> {
        array(self, perl)
    }
}

fn hash<K: IntoPerl, V: IntoPerl>(
    pairs: impl IntoIterator<Item = (K, V)>,
    perl: Perl,
) -> Result<Value> {
    let (mut texts, mut others) = (Vec::new(), Vec::new());
    for (key, value) in pairs {
        let value = value.into_perl(perl)?;
        match key.into_perl(perl)? {
            Value::Text(key) => texts.push((key, value)),
            key => others.push((key, value)),
        }
    }
    let hash = Hash::of(perl, texts);
    for (key, value) in others {
        hash.set(key, value)?;
    }
    Ok(hash.into())
}

impl<K: IntoPerl, V: IntoPerl, S> IntoPerl for HashMap<K, V, S> {
    fn into_perl(self, perl: Perl) -> Result<Value> {
        hash(self, perl)
    }
}

impl<K: IntoPerl, V: IntoPerl> IntoPerl for BTreeMap<K, V> {
    fn into_perl(self, perl: Perl) -> Result<Value> {
        hash(self, perl)
    }
}

macro_rules! tuples {
    ($($count:literal ($($type:ident $i:tt),*)),* $(,)?) => {$(
        impl<$($type: FromPerl),*> FromPerl for ($($type,)*) {
            fn from_perl(sv: &Scalar, name: &Name<'_>) -> Result<Self> {
                let scalars = <[Scalar; $count]>::from_perl(sv, name)?;
                Ok(($($type::from_perl(&scalars[$i], &name.element($i))?,)*))
            }
        }

        impl<$($type: IntoPerl),*> IntoPerl for ($($type,)*) {
            fn into_perl(self, perl: Perl) -> Result<Value> {
                Ok(Array::of(perl, [$(self.$i.into_perl(perl)?),*]).into())
            }

            fn into_return(self, perl: Perl, class: Option<&Scalar>) -> Result<Value> {
                // one that is an object is of the class that the constructor was called for
                let values = ($(self.$i.into_return(perl, class)?,)*);
                Ok(Value::List(vec![$(single(values.$i)),*]))
            }
        }
    )*};
}

/// A list within a list is its last value, as everywhere.
fn single(value: Value) -> Value {
    match value {
        Value::List(mut values) => values.pop().unwrap_or(Value::Undef),
        value => value,
    }
}

tuples! {
    1 (A 0),
    2 (A 0, B 1),
    3 (A 0, B 1, C 2),
    4 (A 0, B 1, C 2, D 3),
    5 (A 0, B 1, C 2, D 3, E 4),
    6 (A 0, B 1, C 2, D 3, E 4, F 5),
    7 (A 0, B 1, C 2, D 3, E 4, F 5, G 6),
    8 (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7),
}

/// A result that is a list: of an iterator, or what can be one. In scalar context it is the last
/// value ([`Value::List`]).
///
/// ```
/// # use perlxs::*;
/// perlxs::module! {
///     Some::Lists "1.0";
///
///     fn evens(numbers: Rest<i64>) -> List<impl Iterator<Item = i64>> {
///         List(numbers.into_iter().filter(|n| n % 2 == 0))
///     }
///
///     fn largest(first: f64, others: Rest<f64>) -> (f64, usize) {
///         (others.iter().copied().fold(first, f64::max), others.len() + 1)
///     }
/// }
/// ```
/// ```perl
/// XSLoader::load('Some::Lists', '1.0');
/// Some::Lists::evens(1 .. 6);             # 2, 4, 6
/// Some::Lists::evens();                   # ()
/// scalar Some::Lists::evens(1 .. 6);      # 6
/// Some::Lists::evens(2, 'x');             # dies: numbers[1] must be an integer (i64), not
/// Some::Lists::largest(3, 17, 5);         # 17, 3
/// Some::Lists::largest();                 # dies: Usage: Some::Lists::largest(first, ...) at
/// ```
#[derive(Clone, Debug)]
pub struct List<I>(pub I);

impl<I: IntoIterator<Item: IntoPerl>> IntoPerl for List<I> {
    fn into_perl(self, perl: Perl) -> Result<Value> {
        array(self.0, perl)
    }

    fn into_return(self, perl: Perl, _: Option<&Scalar>) -> Result<Value> {
        Ok(Value::List(list(self.0, perl)?))
    }
}

/// The last parameter of a function that takes any number of arguments: all that are left.
///
/// Example: [`List`].
#[derive(Clone, Debug)]
pub struct Rest<T>(pub Vec<T>);

impl<T> Deref for Rest<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T> IntoIterator for Rest<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// How many of the caller's arguments a parameter takes.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub enum Takes {
    Nothing,
    One,
    OneOrNone,
    Rest,
}

/// The arguments of a call, one after the other.
#[doc(hidden)]
pub struct Arguments<'c> {
    call: &'c Call<'c>,
    next: usize,
}

impl<'c> Arguments<'c> {
    #[doc(hidden)]
    pub fn new(call: &'c Call<'c>) -> Self {
        Arguments { call, next: 0 }
    }

    /// Whether there is another one.
    #[doc(hidden)]
    pub fn more(&self) -> bool {
        self.next < self.call.len()
    }

    fn read<T>(&mut self, read: impl FnOnce(&Scalar) -> Result<T>) -> Result<T> {
        self.next += 1;
        match self.call.get(self.next - 1) {
            Some(sv) => read(&sv),
            None => read(&Scalar::new(self.call.perl(), ())),
        }
    }
}

/// What a parameter of a function can be: what is read from perl, and what is lent by something
/// that lives as long as the call. `How` tells these apart for the compiler.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no parameter of a function that perl calls",
    note = "implement `perlxs::FromPerl` for it; a class is taken as `&T` or `&mut T`"
)]
pub trait Parameter<'a, 'c, How>: Sized {
    const TAKES: Takes;
    /// What keeps it during the call.
    type Held;

    fn hold(arguments: &mut Arguments<'c>, name: &str) -> Result<Self::Held>;
    fn lend(held: &'a mut Self::Held) -> Self;
}

/// A [`FromPerl`].
#[doc(hidden)]
pub struct Read;

/// A reference.
#[doc(hidden)]
pub struct Lent;

/// A reference or nothing.
#[doc(hidden)]
pub struct LentIfAny;

/// A [`Rest`].
#[doc(hidden)]
pub struct Slurpy;

/// No argument.
#[doc(hidden)]
pub struct Around;

impl<'a, 'c, T: FromPerl> Parameter<'a, 'c, Read> for T {
    const TAKES: Takes = match T::OPTIONAL {
        true => Takes::OneOrNone,
        false => Takes::One,
    };
    type Held = Option<T>;

    #[inline]
    fn hold(arguments: &mut Arguments<'c>, name: &str) -> Result<Self::Held> {
        arguments.read(|sv| T::from_perl(sv, &Name::new(name)).map(Some))
    }

    #[inline]
    fn lend(held: &'a mut Self::Held) -> Self {
        held.take().expect("lent once")
    }
}

macro_rules! lent {
    ($($type:ty: $owned:ty),* $(,)?) => {$(
        impl<'a, 'c> Parameter<'a, 'c, Lent> for &'a $type {
            const TAKES: Takes = Takes::One;
            type Held = $owned;

            fn hold(arguments: &mut Arguments<'c>, name: &str) -> Result<Self::Held> {
                arguments.read(|sv| FromPerl::from_perl(sv, &Name::new(name)))
            }

            fn lend(held: &'a mut Self::Held) -> Self {
                held
            }
        }
    )*};
}

lent! { Path: PathBuf, Scalar: Scalar }

/// Strings are lent by perl, without a copy.
macro_rules! lent_string {
    ($($type:ty: $held:ident $what:literal $read:ident),*) => {$(
        impl<'a, 'c> Parameter<'a, 'c, Lent> for &'a $type {
            const TAKES: Takes = Takes::One;
            type Held = $held<'c>;

            #[inline]
            fn hold(arguments: &mut Arguments<'c>, name: &str) -> Result<Self::Held> {
                arguments.read(|sv| string(sv, &Name::new(name), $what, sv.$read()?))
            }

            #[inline]
            fn lend(held: &'a mut Self::Held) -> Self {
                held
            }
        }
    )*};
}

lent_string! {
    str: Text "a string" lent_text,
    [u8]: Bytes "a string of bytes" lent_bytes
}

impl<'a, 'c, T: Class> Parameter<'a, 'c, Lent> for &'a T {
    const TAKES: Takes = Takes::One;
    type Held = Borrow<T, false>;

    fn hold(arguments: &mut Arguments<'c>, name: &str) -> Result<Self::Held> {
        arguments.read(|sv| Borrow::new(sv, &Name::new(name)))
    }

    fn lend(held: &'a mut Self::Held) -> Self {
        held.get()
    }
}

impl<'a, 'c, T: Class> Parameter<'a, 'c, Lent> for &'a mut T {
    const TAKES: Takes = Takes::One;
    type Held = Borrow<T, true>;

    fn hold(arguments: &mut Arguments<'c>, name: &str) -> Result<Self::Held> {
        arguments.read(|sv| Borrow::new(sv, &Name::new(name)))
    }

    fn lend(held: &'a mut Self::Held) -> Self {
        held.get_mut()
    }
}

macro_rules! lent_if_any {
    ($($reference:ty),*) => {$(
        impl<'a, 'c, T: ?Sized> Parameter<'a, 'c, LentIfAny> for Option<$reference>
        where
            $reference: Parameter<'a, 'c, Lent>,
        {
            const TAKES: Takes = Takes::OneOrNone;
            type Held = Option<<$reference as Parameter<'a, 'c, Lent>>::Held>;

            fn hold(arguments: &mut Arguments<'c>, name: &str) -> Result<Self::Held> {
                let any = match arguments.call.get(arguments.next) {
                    Some(sv) => sv.is_defined()?,
                    None => false,
                };
                match any {
                    true => <$reference>::hold(arguments, name).map(Some),
                    false => {
                        arguments.next += 1;
                        Ok(None)
                    }
                }
            }

            fn lend(held: &'a mut Self::Held) -> Self {
                held.as_mut().map(|held| <$reference>::lend(held))
            }
        }
    )*};
}

lent_if_any!(&'a T, &'a mut T);

impl<'a, 'c, T: FromPerl> Parameter<'a, 'c, Slurpy> for Rest<T> {
    const TAKES: Takes = Takes::Rest;
    type Held = Vec<T>;

    fn hold(arguments: &mut Arguments<'c>, name: &str) -> Result<Self::Held> {
        let mut rest = Vec::with_capacity(arguments.call.len().saturating_sub(arguments.next));
        let name = Name::new(name);
        while arguments.more() {
            let name = name.element(rest.len());
            rest.push(arguments.read(|sv| T::from_perl(sv, &name))?);
        }
        Ok(rest)
    }

    fn lend(held: &'a mut Self::Held) -> Self {
        Rest(std::mem::take(held))
    }
}

impl<'a, 'c> Parameter<'a, 'c, Around> for &'a Call<'a> {
    const TAKES: Takes = Takes::Nothing;
    type Held = &'c Call<'c>;

    fn hold(arguments: &mut Arguments<'c>, _: &str) -> Result<Self::Held> {
        Ok(arguments.call)
    }

    fn lend(held: &'a mut Self::Held) -> Self {
        held
    }
}

macro_rules! around {
    ($($type:ty: $function:ident),*) => {$(
        impl<'a, 'c> Parameter<'a, 'c, Around> for $type {
            const TAKES: Takes = Takes::Nothing;
            type Held = $type;

            fn hold(arguments: &mut Arguments<'c>, _: &str) -> Result<Self::Held> {
                Ok(arguments.call.$function())
            }

            fn lend(held: &'a mut Self::Held) -> Self {
                *held
            }
        }
    )*};
}

around!(Perl: perl, Context: context);
