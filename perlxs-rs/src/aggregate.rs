//! What arrays and hashes have in common.

#![allow(unsafe_code)]

use std::ffi::c_int;

use crate::guard::contained;
use crate::{Result, Scalar, ffi};

impl Scalar {
    /// The elements of the array that this refers to, not copies; `None` if it is no reference to
    /// an array, or to one that is an object.
    ///
    /// Returns `Err` if a tie method dies or exits.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `sum(\@numbers)`
    /// fn sum(call: &Call<'_>) -> Result<Value> {
    ///     let numbers = call.arg(0).elements()?;
    ///     let mut sum = 0;
    ///     for number in numbers.ok_or_else(|| Error::croak("sum needs an array"))? {
    ///         sum += number.number()?.integer().unwrap_or(0) as i64;
    ///     }
    ///     Ok(sum.into())
    /// }
    /// ```
    /// ```perl
    /// sum([1, 2, '39']);              # 42
    /// sum(5);                         # dies: sum needs an array
    /// sum(bless [1], 'Dog');          # dies: sum needs an array
    /// ```
    pub fn elements(&self) -> Result<Option<Vec<Scalar>>> {
        self.items(ffi::ITEMS_ARRAY)
    }

    /// The keys and values of the hash that this refers to, in perl's order; the values are not
    /// copies. `None` if it is no reference to a hash, or to one that is an object.
    ///
    /// Returns `Err` if a tie method dies or exits.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `options(\%options)`: named arguments, and no others.
    /// fn options(call: &Call<'_>) -> Result<Value> {
    ///     let options = call.arg(0).entries()?;
    ///     let (mut verbose, mut level) = (false, 0);
    ///     for (key, value) in options.ok_or_else(|| Error::croak("options needs a hash"))? {
    ///         match key.as_str() {
    ///             "verbose" => verbose = value.is_true()?,
    ///             "level" => level = value.number()?.integer().unwrap_or(0) as i64,
    ///             _ => return Err(Error::croak(format!("unknown option '{key}'"))),
    ///         }
    ///     }
    ///     Ok(Value::List(vec![verbose.into(), level.into()]))
    /// }
    /// ```
    /// ```perl
    /// options({ level => 3 });        # '', 3
    /// options({ verbose => 1 });      # 1, 0
    /// options({ levle => 3 });        # dies: unknown option 'levle'
    /// options([]);                    # dies: options needs a hash
    /// ```
    pub fn entries(&self) -> Result<Option<Vec<(String, Scalar)>>> {
        self.items(ffi::ITEMS_HASH)?.map(entries).transpose()
    }

    /// As [`entries`](Scalar::entries), for keys that are not text.
    ///
    /// Returns `Err` if a tie method dies or exits.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `size(\%hash)`: the bytes in its keys and values.
    /// fn size(call: &Call<'_>) -> Result<Value> {
    ///     let pairs = call.arg(0).pairs()?.ok_or_else(|| Error::croak("size needs a hash"))?;
    ///     let mut size = 0;
    ///     for (key, value) in pairs {
    ///         for sv in [key, value] {
    ///             size += sv.bytes()?.unwrap_or_default().len();
    ///         }
    ///     }
    ///     Ok(size.into())
    /// }
    /// ```
    /// ```perl
    /// size({ "\xff\xfe" => 'abc' });  # 5
    /// size({ "\x{20ac}" => 1 });      # dies: Wide character in a string of bytes
    /// ```
    pub fn pairs(&self) -> Result<Option<Vec<(Scalar, Scalar)>>> {
        Ok(self.items(ffi::ITEMS_HASH)?.map(pairs))
    }

    fn items(&self, kind: c_int) -> Result<Option<Vec<Scalar>>> {
        let items = Self::stored(self.perl(), |out, error| {
            // SAFETY: a live scalar of this interpreter; the places outlive the call.
            unsafe { ffi::perlxs_sv_items(self.perl().raw(), self.raw(), kind, out, error) }
        })?;
        Ok(items.map(|items| items.unpacked()))
    }

    /// The elements of an array that the shim has made.
    pub(crate) fn unpacked(&self) -> Vec<Scalar> {
        let perl = self.perl().raw();
        // SAFETY: an array of live scalars.
        unsafe {
            (0..ffi::perlxs_av_len(perl, self.raw()))
                .map(|i| Self::from_borrowed(self.perl(), ffi::perlxs_av_get(perl, self.raw(), i)))
                .collect()
        }
    }
}

/// The text of the keys, and the values, from the shim's list of both in turn.
pub(crate) fn entries(items: Vec<Scalar>) -> Result<Vec<(String, Scalar)>> {
    pairs(items)
        .into_iter()
        .map(|(key, value)| Ok((key.text()?.unwrap_or_default(), value)))
        .collect()
}

/// Each two of them.
fn pairs(items: Vec<Scalar>) -> Vec<(Scalar, Scalar)> {
    let pairs = items.chunks_exact(2);
    pairs
        .map(|pair| (pair[0].clone(), pair[1].clone()))
        .collect()
}

pub(crate) fn collect(aggregate: &Scalar, kind: c_int) -> Result<Vec<Scalar>> {
    let perl = aggregate.perl();
    let items = Scalar::stored(perl, |out, error| {
        // SAFETY: a live array or hash of this interpreter; the places outlive the call.
        unsafe { ffi::perlxs_collect(perl.raw(), aggregate.raw(), kind, out, error) }
    })?;
    Ok(items.map_or_else(Vec::new, |items| items.unpacked()))
}

pub(crate) fn clear(aggregate: &Scalar) -> Result<()> {
    let perl = aggregate.perl();
    contained(perl, |error| {
        // SAFETY: a live array or hash of this interpreter.
        unsafe { ffi::perlxs_clear(perl.raw(), aggregate.raw(), error) }
    })
}
