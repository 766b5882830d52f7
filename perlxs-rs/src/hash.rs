//! Hashes.

#![allow(unsafe_code)]

use std::borrow::Cow;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::{ptr, slice};

use crate::aggregate::{clear, collect, entries};
use crate::array::kept;
use crate::guard::contained;
use crate::scalar::{CHUNK, in_chunks};
use crate::{Arg, Perl, Result, Scalar, Value, ffi};

/// How many entries of a hash come at a time.
const WALK: usize = 16;

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
    pub fn of<K: AsKey, V: Into<Value>>(
        perl: Perl,
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let hash = Hash::new(perl);
        let entries = entries.into_iter().map(|(key, value)| (key, value.into()));
        let mut raw = [const { MaybeUninit::<ffi::Entry>::uninit() }; CHUNK];
        in_chunks(entries, |chunk: &mut [(K, Value)]| {
            for (raw, (key, value)) in raw.iter_mut().zip(&mut *chunk) {
                let Key { bytes, is_utf8 } = key.as_key();
                assert!(
                    i32::try_from(bytes.len()).is_ok(),
                    "a key below 2 to the 31st bytes"
                );
                raw.write(ffi::Entry {
                    key: bytes.as_ptr().cast(),
                    len: bytes.len(),
                    utf8: c_int::from(is_utf8),
                    value: value.raw(perl),
                });
            }
            let (p, len) = (raw.as_ptr().cast(), chunk.len());
            // SAFETY: as many as have been written; the hash that has just been made takes over the
            // references; keys and strings outlive the call, which copies them.
            unsafe { ffi::perlxs_hash_append(perl.raw(), hash.hv.raw(), p, len) }
        });
        hash
    }

    /// As [`of`](Hash::of), of what may fail: the first error is what this returns, and the hash is
    /// dropped.
    ///
    /// Example: [`AsKey`].
    ///
    /// # Panics
    /// As [`of`](Hash::of).
    pub fn try_of<K: AsKey, V: Into<Value>, E>(
        perl: Perl,
        entries: impl IntoIterator<Item = Result<(K, V), E>>,
    ) -> Result<Self, E> {
        let mut failed = None;
        let entries = entries
            .into_iter()
            .map_while(|entry| kept(entry, &mut failed));
        let hash = Hash::of(perl, entries);
        failed.map_or(Ok(hash), Err)
    }

    /// Each key and value in turn; the values are not copies.
    pub(crate) fn items(&self) -> Result<Vec<Scalar>> {
        collect(&self.hv, ffi::ITEMS_HASH)
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

    /// The keys and their values, not copies, in perl's order, one after the other: for a walk
    /// through a large hash, which copies keys only. As perl's `each` it is the hash's own
    /// iterator, and starts anew. Meanwhile a key may be deleted if it is the last one given; if
    /// another is stored, it is undefined whether it comes.
    ///
    /// An item is `Err`, and the last, if a tie method dies or exits, or if somebody else has moved
    /// the iterator (`keys`, `each`).
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `total(\%hash)`: the length of all keys, the bytes that they have in perl, of which that
    /// /// many are UTF-8; and the sum of all values.
    /// fn total(call: &Call<'_>) -> Result<Value> {
    ///     let hash = call.arg(0).hash()?.ok_or_else(|| Error::croak("total needs a hash"))?;
    ///     let (mut length, mut bytes, mut wide, mut sum) = (0, 0, 0, 0);
    ///     let mut entries: Entries<'_> = hash.iter();
    ///     while let Some((key, value)) = entries.next()? {
    ///         let key: Key<'_> = key;
    ///         length += key.text().chars().count() as i64;
    ///         bytes += key.bytes().len() as i64;
    ///         wide += i64::from(key.is_utf8());
    ///         sum += value.number()?.integer().unwrap_or(0) as i64;
    ///     }
    ///     Ok(Value::list([length, bytes, wide, sum]))
    /// }
    /// ```
    /// ```perl
    /// total({ a => 1, bcd => 41 });                       # 4, 4, 0, 42
    /// total({ a => 1, "\xe9" => 2, "\x{20ac}" => 3 });    # 3, 5, 1, 6
    /// total({});                                          # 0, 0, 0, 0
    /// ```
    pub fn iter(&self) -> Entries<'_> {
        Entries {
            hash: self,
            place: ffi::Place {
                entry: ptr::null_mut(),
                waits: 0,
            },
            here: Box::new_uninit(),
            long: Vec::new(),
            given: 0,
            got: 0,
            has_begun: false,
        }
    }

    /// The number of keys (perlapi: `HvUSEDKEYS`). Those of a tied hash are counted one by one, as
    /// perl's `keys` does.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `size(\%hash)`: in words.
    /// fn size(call: &Call<'_>) -> Result<Value> {
    ///     let hash = call.arg(0).hash()?.ok_or_else(|| Error::croak("size needs a hash"))?;
    ///     Ok(match hash.is_empty()? {
    ///         true => "nothing".into(),
    ///         false => format!("{} keys", hash.len()?).into(),
    ///     })
    /// }
    /// ```
    /// ```perl
    /// size({ a => 1, b => 2 });       # '2 keys'
    /// size({});                       # 'nothing'
    /// ```
    pub fn len(&self) -> Result<usize> {
        let perl = self.hv.perl();
        let mut len = 0;
        contained(perl, |error| {
            // SAFETY: a live hash of this interpreter; `len` outlives the call.
            unsafe { ffi::perlxs_hash_len(perl.raw(), self.hv.raw(), &mut len, error) }
        })?;
        Ok(len)
    }

    /// Whether there are no keys.
    ///
    /// Example: [`Hash::len`].
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
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
        entries(self.items()?)
    }
}

/// The key of an entry, as perl has it.
///
/// Example: [`Hash::iter`].
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    bytes: &'a [u8],
    is_utf8: bool,
}

impl<'a> Key<'a> {
    /// Its bytes: UTF-8 if [`is_utf8`](Key::is_utf8) says so, else one for each character.
    ///
    /// Example: [`Hash::iter`].
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Whether it has characters above 255, as UTF-8 (perlapi: `HeUTF8`).
    ///
    /// Example: [`Hash::iter`].
    pub fn is_utf8(self) -> bool {
        self.is_utf8
    }

    /// Its characters. Those that are not Unicode become U+FFFD.
    ///
    /// Example: [`Hash::iter`].
    pub fn text(self) -> Cow<'a, str> {
        match std::str::from_utf8(self.bytes) {
            Ok(text) if self.is_utf8 || text.is_ascii() => Cow::Borrowed(text),
            _ if self.is_utf8 => String::from_utf8_lossy(self.bytes),
            _ => Cow::Owned(self.bytes.iter().map(|&b| char::from(b)).collect()),
        }
    }
}

/// What can be the key of a new hash: a string of characters or of bytes, or a key of another.
///
/// ```
/// # use perlxs::*;
/// /// `fields($bytes)`: of `name=value;...`, keys and values of bytes.
/// fn fields(call: &Call<'_>) -> Result<Value> {
///     let bytes = call.arg(0).bytes()?.unwrap_or_default();
///     let fields = bytes.split(|&b| b == b';').map(|field| {
///         let mut parts = field.splitn(2, |&b| b == b'=');
///         match (parts.next(), parts.next()) {
///             (Some(name), Some(value)) => Ok((name, value)),
///             _ => Err(Error::croak("a field without =")),
///         }
///     });
///     Ok((&Hash::try_of(call.perl(), fields)?).into())
/// }
/// ```
/// ```perl
/// fields("a=1;\xe9=2");           # { a => 1, "\xe9" => 2 }
/// fields('a=1;b');                # dies: a field without =
/// ```
pub trait AsKey {
    /// The key.
    ///
    /// Example: [`AsKey`].
    fn as_key(&self) -> Key<'_>;
}

impl AsKey for str {
    fn as_key(&self) -> Key<'_> {
        Key {
            bytes: self.as_bytes(),
            is_utf8: !self.is_ascii(),
        }
    }
}

impl AsKey for [u8] {
    fn as_key(&self) -> Key<'_> {
        Key {
            bytes: self,
            is_utf8: false,
        }
    }
}

impl<T: AsKey + ?Sized> AsKey for &T {
    fn as_key(&self) -> Key<'_> {
        (**self).as_key()
    }
}

impl AsKey for String {
    fn as_key(&self) -> Key<'_> {
        self.as_str().as_key()
    }
}

impl AsKey for Cow<'_, str> {
    fn as_key(&self) -> Key<'_> {
        (**self).as_key()
    }
}

impl AsKey for Vec<u8> {
    fn as_key(&self) -> Key<'_> {
        self.as_slice().as_key()
    }
}

impl<const N: usize> AsKey for [u8; N] {
    fn as_key(&self) -> Key<'_> {
        self.as_slice().as_key()
    }
}

impl AsKey for Key<'_> {
    fn as_key(&self) -> Key<'_> {
        *self
    }
}

/// Entries that have come, and room for their keys.
struct Here {
    pairs: [ffi::Pair; WALK],
    room: [u8; 32 * WALK],
}

/// A walk through a hash: [`Hash::iter`].
///
/// Example: [`Hash::iter`].
pub struct Entries<'a> {
    hash: &'a Hash,
    place: ffi::Place,
    here: Box<MaybeUninit<Here>>,
    /// The room for a key that is longer than that.
    long: Vec<u8>,
    /// Of the entries that are here, how many are done with.
    given: usize,
    got: usize,
    has_begun: bool,
}

impl Entries<'_> {
    /// The next key, and its value.
    ///
    /// Returns `Ok(None)` at the end, and `Err` as [`Hash::iter`] says.
    ///
    /// Example: [`Hash::iter`].
    #[expect(clippy::should_implement_trait, reason = "it lends the key")]
    pub fn next(&mut self) -> Result<Option<(Key<'_>, Arg<'_>)>> {
        if self.given == self.got && !self.fill()? {
            return Ok(None);
        }
        let pair = self.pair(self.given);
        self.given += 1;
        // SAFETY: one of those that have come: the key is in a room that stays as it is until the
        // next ones come, and until then the value is ours.
        let (bytes, value, is_utf8) = unsafe {
            let pair = &*pair;
            (
                slice::from_raw_parts(pair.key.cast(), pair.len),
                Scalar::from_owned(self.hash.hv.perl(), pair.value),
                pair.utf8 != 0,
            )
        };
        Ok(Some((Key { bytes, is_utf8 }, Arg::new(value))))
    }

    fn pair(&mut self, i: usize) -> *mut ffi::Pair {
        debug_assert!(i < WALK);
        // SAFETY: within the array.
        unsafe {
            (&raw mut (*self.here.as_mut_ptr()).pairs)
                .cast::<ffi::Pair>()
                .add(i)
        }
    }

    #[cold]
    fn fill(&mut self) -> Result<bool> {
        self.give_up();
        if self.has_begun && self.place.entry.is_null() {
            return Ok(false);
        }
        self.has_begun = true;
        let perl = self.hash.hv.perl();
        loop {
            // SAFETY: the place of a field.
            let here = unsafe { &raw mut (*self.here.as_mut_ptr()).room };
            let (room, size) = match self.long.len() {
                0 => (here.cast(), 32 * WALK),
                size => (self.long.as_mut_ptr().cast(), size),
            };
            let (pairs, place) = (self.pair(0), &mut self.place);
            let got = &mut self.got;
            let outcome = contained(perl, |error| {
                let hv = self.hash.hv.raw();
                // SAFETY: a live hash of this interpreter; as many entries, and as much room.
                unsafe {
                    ffi::perlxs_hash_next(
                        perl.raw(),
                        hv,
                        place,
                        pairs,
                        WALK,
                        room,
                        size,
                        got,
                        error,
                    )
                }
            });
            if let Err(error) = outcome {
                self.give_up();
                self.place.entry = ptr::null_mut();
                return Err(error);
            }
            if self.got > 0 || self.place.entry.is_null() {
                return Ok(self.got > 0);
            }
            self.long = vec![0; self.place.waits];
        }
    }

    /// Releases the values that are here.
    fn give_up(&mut self) {
        let got = std::mem::take(&mut self.got);
        self.given = 0;
        for i in 0..got {
            let pair = self.pair(i);
            // SAFETY: one of those that have come; the shim has counted the value for us.
            drop(unsafe { Scalar::from_owned(self.hash.hv.perl(), (*pair).value) });
        }
    }
}

impl Drop for Entries<'_> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl From<&Hash> for Value {
    /// A reference to the hash.
    fn from(hash: &Hash) -> Self {
        Value::Scalar(hash.hv.reference())
    }
}

impl From<Hash> for Value {
    /// A reference to the hash.
    fn from(hash: Hash) -> Self {
        (&hash).into()
    }
}
