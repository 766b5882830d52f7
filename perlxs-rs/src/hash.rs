//! Hashes.

#![allow(unsafe_code)]

use crate::aggregate::{clear, collect, entries};
use crate::guard::contained;
use crate::{Perl, Result, Scalar, Value, ffi};

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
        entries(collect(&self.hv, ffi::ITEMS_HASH)?)
    }
}

impl From<&Hash> for Value {
    /// A reference to the hash.
    fn from(hash: &Hash) -> Self {
        Value::Scalar(hash.hv.reference())
    }
}
