//! Arrays and hashes.

#![allow(unsafe_code)]

use std::ffi::c_int;

use crate::guard::contained;
use crate::scalar;
use crate::{Perl, Result, Scalar, Value, ffi};

/// A perl array: a new one, or what [`Scalar::array`] found behind a reference.
///
/// A tied array is asked by its methods: it has an element wherever it is looked for, which reads
/// FETCH when it is read. Each function here returns `Err` if such a method, or a destructor that
/// it runs, dies or exits; those that change the array also if it is read-only.
///
/// To perl it goes as a reference: `Value::from(&array)`.
///
/// ```
/// # use perlxs::*;
/// fn array(call: &Call<'_>) -> Result<Array> {
///     let array = call.arg(0).array()?;
///     array.ok_or_else(|| Error::croak("this needs an array"))
/// }
///
/// /// `rotate(\@array)`: moves its last element to the front of a new array.
/// fn rotate(call: &Call<'_>) -> Result<Value> {
///     let old = array(call)?;
///     let new = Array::new(call.perl());
///     if let Some(last) = old.pop()? {
///         new.push(last)?;
///         for element in old.elements()? {
///             new.push(element)?;
///         }
///         old.clear()?;
///     }
///     Ok((&new).into())
/// }
///
/// /// `double(\@array)`: each of its elements, in place; returns how many there are.
/// fn double(call: &Call<'_>) -> Result<Value> {
///     let array = array(call)?;
///     if array.is_empty()? {
///         return Err(Error::croak("an empty array"));
///     }
///     for i in 0..array.len()? {
///         let number = array.get(i)?.map_or(Ok(Number::Undef), |element| element.number())?;
///         array.set(i, number.integer().unwrap_or(0) as i64 * 2)?;
///     }
///     Ok(array.len()?.into())
/// }
///
/// fn primes(call: &Call<'_>) -> Result<Value> {
///     Ok((&Array::of(call.perl(), [2, 3, 5])).into())
/// }
/// ```
/// ```perl
/// rotate([1, 2, 3]);              # [3, 1, 2]
/// my @numbers = (1, undef, 7);
/// double(\@numbers);              # 3
/// @numbers;                       # 2, 0, 14
/// double([]);                     # dies: an empty array
/// double({});                     # dies: this needs an array
/// primes();                       # [2, 3, 5]
/// ```
#[derive(Clone, Debug)]
pub struct Array {
    av: Scalar,
}

impl Array {
    pub(crate) fn from_av(av: Scalar) -> Self {
        Array { av }
    }

    /// A new empty array.
    ///
    /// Example: [`Array`].
    pub fn new(perl: Perl) -> Self {
        Array::from_av(Scalar::list(perl, []))
    }

    /// A new array of these values; a [`Value::Scalar`] is not copied.
    ///
    /// Example: [`Array`].
    pub fn of<V: Into<Value>>(perl: Perl, values: impl IntoIterator<Item = V>) -> Self {
        Array::from_av(Scalar::list(perl, values.into_iter().map(Into::into)))
    }

    /// The number of elements.
    ///
    /// Example: [`Array`].
    pub fn len(&self) -> Result<usize> {
        let mut len = 0;
        contained(self.av.perl(), |error| {
            // SAFETY: a live array of this interpreter; `len` outlives the call.
            unsafe { ffi::perlxs_array_len(self.av.perl().raw(), self.av.raw(), &mut len, error) }
        })?;
        Ok(len)
    }

    /// Whether there are no elements.
    ///
    /// Example: [`Array`].
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Element `i`, counted from 0: the scalar itself, not a copy. `None` if there is none
    /// (perlapi: `av_fetch`).
    ///
    /// Example: [`Array`].
    pub fn get(&self, i: usize) -> Result<Option<Scalar>> {
        Scalar::stored(self.av.perl(), |out, error| {
            // SAFETY: a live array of this interpreter; the places outlive the call.
            unsafe { ffi::perlxs_array_get(self.av.perl().raw(), self.av.raw(), i, out, error) }
        })
    }

    /// Assigns a value to element `i`, perl's `$array[i] = value`.
    ///
    /// Example: [`Array`].
    pub fn set(&self, i: usize, value: impl Into<Value>) -> Result<()> {
        let perl = self.av.perl();
        let value = Scalar::new(perl, value);
        contained(perl, |error| {
            // SAFETY: a live array and a live scalar of this interpreter.
            unsafe { ffi::perlxs_array_set(perl.raw(), self.av.raw(), i, value.raw(), error) }
        })
    }

    /// Appends a value, a copy.
    ///
    /// Example: [`Array`].
    pub fn push(&self, value: impl Into<Value>) -> Result<()> {
        let perl = self.av.perl();
        let value = Scalar::new(perl, value);
        contained(perl, |error| {
            // SAFETY: a live array and a live scalar of this interpreter.
            unsafe { ffi::perlxs_array_push(perl.raw(), self.av.raw(), value.raw(), error) }
        })
    }

    /// Removes the last element and returns it, or `None` if there is none.
    ///
    /// Example: [`Array`].
    pub fn pop(&self) -> Result<Option<Scalar>> {
        Scalar::stored(self.av.perl(), |out, error| {
            // SAFETY: a live array of this interpreter; the places outlive the call.
            unsafe { ffi::perlxs_array_pop(self.av.perl().raw(), self.av.raw(), out, error) }
        })
    }

    /// Removes all elements.
    ///
    /// Example: [`Array`].
    pub fn clear(&self) -> Result<()> {
        clear(&self.av)
    }

    /// All elements, not copies; undef where there is none.
    ///
    /// Example: [`Array`].
    pub fn elements(&self) -> Result<Vec<Scalar>> {
        collect(&self.av, ffi::ITEMS_ARRAY)
    }
}

impl From<&Array> for Value {
    /// A reference to the array.
    fn from(array: &Array) -> Self {
        Value::Scalar(array.av.reference())
    }
}

/// A perl hash: a new one, or what [`Scalar::hash`] found behind a reference.
///
/// A key is any value, taken as a string, as in perl; strings of the same characters are the same
/// key, whether of bytes or of text. A tied hash is asked by its methods: [`get`](Hash::get) finds
/// an element for every key, which reads FETCH when it is read. Each function here returns `Err` if
/// such a method, an overload method of a key, or a destructor that it runs, dies or exits; those
/// that change the hash also if it refuses (Hash::Util).
///
/// To perl it goes as a reference: `Value::from(&hash)`.
///
/// ```
/// # use perlxs::*;
/// /// `count(\%counts, @words)`: counts the words in the hash; how often the last one came.
/// fn count(call: &Call<'_>) -> Result<Value> {
///     let counts = call.arg(0).hash()?;
///     let counts = counts.ok_or_else(|| Error::croak("count needs a hash"))?;
///     let mut last = 0;
///     for word in call.args().skip(1) {
///         let before = counts.get(&word)?.map_or(Ok(Number::Undef), |count| count.number())?;
///         last = before.integer().unwrap_or(0) as i64 + 1;
///         counts.set(word, last)?;
///     }
///     Ok(last.into())
/// }
///
/// /// `take(\%hash, $key)`: what was there, and whether it was.
/// fn take(call: &Call<'_>) -> Result<Value> {
///     let hash = call.arg(0).hash()?;
///     let hash = hash.ok_or_else(|| Error::croak("take needs a hash"))?;
///     let was_there = hash.contains(call.arg(1))?;
///     Ok(Value::List(vec![hash.delete(call.arg(1))?.into(), was_there.into()]))
/// }
///
/// /// `invert(\%hash)`: a new hash, values to keys; empties the old one.
/// fn invert(call: &Call<'_>) -> Result<Value> {
///     let old = call.arg(0).hash()?;
///     let old = old.ok_or_else(|| Error::croak("invert needs a hash"))?;
///     let new = Hash::new(call.perl());
///     for (key, value) in old.entries()? {
///         new.set(value, key)?;
///     }
///     let keys = old.keys()?.len();
///     old.clear()?;
///     let answer = [("keys", Value::from(keys)), ("inverted", (&new).into())];
///     Ok((&Hash::of(call.perl(), answer)).into())
/// }
/// ```
/// ```perl
/// my %counts;
/// count(\%counts, qw(a b a));     # 2
/// %counts{'a'};                   # a => 2
/// take(\%counts, 'b');            # 1, 1
/// take(\%counts, 'b');            # undef, ''
/// count([]);                      # dies: count needs a hash
/// invert({ a => 'x', b => 'y' }); # { keys => 2, inverted => { x => 'a', y => 'b' } }
/// ```
#[derive(Clone, Debug)]
pub struct Hash {
    hv: Scalar,
}

impl Hash {
    pub(crate) fn from_hv(hv: Scalar) -> Self {
        Hash { hv }
    }

    /// A new empty hash.
    ///
    /// Example: [`struct@Hash`].
    pub fn new(perl: Perl) -> Self {
        // SAFETY: this thread's interpreter; the shim returns a new reference.
        Hash::from_hv(unsafe { Scalar::from_owned(perl, ffi::perlxs_hash_new(perl.raw())) })
    }

    /// A new hash of these keys and values; a [`Value::Scalar`] is not copied. Of several values
    /// with the same key the last one stays.
    ///
    /// # Panics
    /// If a key has 2 to the 31st bytes or more: no hash of perl's has one.
    ///
    /// Example: [`struct@Hash`].
    pub fn of<K: AsRef<str>, V: Into<Value>>(
        perl: Perl,
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let hash = Hash::new(perl);
        for (key, value) in entries {
            let key = key.as_ref();
            assert!(
                i32::try_from(key.len()).is_ok(),
                "a key below 2 to the 31st bytes"
            );
            let (p, len) = (key.as_ptr().cast(), key.len());
            let value = Scalar::new(perl, value).into_raw();
            // SAFETY: the hash that has just been made takes the reference, and copies the key.
            unsafe { ffi::perlxs_hash_put(perl.raw(), hash.hv.raw(), p, len, value) }
        }
        hash
    }

    fn key(&self, key: impl Into<Value>) -> Scalar {
        Scalar::new(self.hv.perl(), key)
    }

    /// The value of this key: the scalar itself, not a copy. `None` if there is none
    /// (perlapi: `hv_fetch_ent`).
    ///
    /// Returns `Err` for a key that a restricted hash does not allow, too.
    ///
    /// Example: [`struct@Hash`].
    pub fn get(&self, key: impl Into<Value>) -> Result<Option<Scalar>> {
        let (perl, key) = (self.hv.perl(), self.key(key));
        Scalar::stored(perl, |out, error| {
            // SAFETY: a live hash and key of this interpreter; the places outlive the call.
            unsafe { ffi::perlxs_hash_get(perl.raw(), self.hv.raw(), key.raw(), out, error) }
        })
    }

    /// Assigns a value to this key, perl's `$hash{key} = value`.
    ///
    /// Example: [`struct@Hash`].
    pub fn set(&self, key: impl Into<Value>, value: impl Into<Value>) -> Result<()> {
        let (perl, key) = (self.hv.perl(), self.key(key));
        let value = Scalar::new(perl, value);
        contained(perl, |error| {
            let (key, value) = (key.raw(), value.raw());
            // SAFETY: a live hash and live scalars of this interpreter.
            unsafe { ffi::perlxs_hash_set(perl.raw(), self.hv.raw(), key, value, error) }
        })
    }

    /// Whether there is this key (perlfunc: `exists`).
    ///
    /// Example: [`struct@Hash`].
    pub fn contains(&self, key: impl Into<Value>) -> Result<bool> {
        let (perl, key) = (self.hv.perl(), self.key(key));
        let mut exists = 0;
        contained(perl, |error| {
            let (hash, key) = (self.hv.raw(), key.raw());
            // SAFETY: a live hash and key of this interpreter; `exists` outlives the call.
            unsafe { ffi::perlxs_hash_exists(perl.raw(), hash, key, &mut exists, error) }
        })?;
        Ok(exists != 0)
    }

    /// Removes this key and returns its value, or `None` if there is none.
    ///
    /// Example: [`struct@Hash`].
    pub fn delete(&self, key: impl Into<Value>) -> Result<Option<Scalar>> {
        let (perl, key) = (self.hv.perl(), self.key(key));
        Scalar::stored(perl, |out, error| {
            // SAFETY: a live hash and key of this interpreter; the places outlive the call.
            unsafe { ffi::perlxs_hash_delete(perl.raw(), self.hv.raw(), key.raw(), out, error) }
        })
    }

    /// Removes all keys.
    ///
    /// Example: [`struct@Hash`].
    pub fn clear(&self) -> Result<()> {
        clear(&self.hv)
    }

    /// The keys, in perl's order. As perl's `keys`, this restarts the hash's `each`.
    ///
    /// Example: [`struct@Hash`].
    pub fn keys(&self) -> Result<Vec<Scalar>> {
        collect(&self.hv, ffi::ITEMS_KEYS)
    }

    /// The keys as [text](Scalar::text), and the values, not copies, in perl's order. As perl's
    /// `keys`, this restarts the hash's `each`.
    ///
    /// Example: [`struct@Hash`].
    pub fn entries(&self) -> Result<Vec<(String, Scalar)>> {
        scalar::entries(collect(&self.hv, ffi::ITEMS_HASH)?)
    }
}

impl From<&Hash> for Value {
    /// A reference to the hash.
    fn from(hash: &Hash) -> Self {
        Value::Scalar(hash.hv.reference())
    }
}

fn collect(aggregate: &Scalar, kind: c_int) -> Result<Vec<Scalar>> {
    let perl = aggregate.perl();
    let items = Scalar::stored(perl, |out, error| {
        // SAFETY: a live array or hash of this interpreter; the places outlive the call.
        unsafe { ffi::perlxs_collect(perl.raw(), aggregate.raw(), kind, out, error) }
    })?;
    Ok(items.map_or_else(Vec::new, |items| items.unpacked()))
}

fn clear(aggregate: &Scalar) -> Result<()> {
    let perl = aggregate.perl();
    contained(perl, |error| {
        // SAFETY: a live array or hash of this interpreter.
        unsafe { ffi::perlxs_clear(perl.raw(), aggregate.raw(), error) }
    })
}
