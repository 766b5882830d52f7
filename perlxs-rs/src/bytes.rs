//! The strings of scalars.

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ops::Deref;
use std::{fmt, ptr, slice};

use crate::{Error, Perl, Result, Scalar, ffi};

impl Scalar {
    /// The string, one byte for each character; `None` for undef (perlapi: `SvPVbyte`).
    ///
    /// Returns `Err` if a character is above 255, or if a tie or an overload method dies or
    /// exits.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `checksum($bytes)`
    /// fn checksum(call: &Call<'_>) -> Result<Value> {
    ///     let bytes = call.arg(0).bytes()?.unwrap_or_default();
    ///     Ok(bytes.iter().map(|&b| u64::from(b)).sum::<u64>().into())
    /// }
    /// ```
    /// ```perl
    /// checksum("\xff\0\1");           # 256
    /// checksum(undef);                # 0
    /// checksum("\x{20ac}");           # dies: Wide character in a string of bytes
    /// ```
    pub fn bytes(&self) -> Result<Option<Vec<u8>>> {
        self.string(ffi::STRING_BYTES, copied)
    }

    /// The string as text; `None` for undef (perlapi: `SvPVutf8`).
    ///
    /// Characters that are not Unicode (surrogates, above 0x10FFFF) become U+FFFD. Returns `Err`
    /// if a tie or an overload method dies or exits.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `shout($text)`
    /// fn shout(call: &Call<'_>) -> Result<Value> {
    ///     let text = call.arg(0).text()?;
    ///     Ok(text.map(|text| text.to_uppercase()).into())
    /// }
    /// ```
    /// ```perl
    /// shout("\xe9\x{20ac}a");         # "\xc9\x{20ac}A"
    /// shout(17);                      # '17'
    /// shout(undef);                   # undef
    /// ```
    pub fn text(&self) -> Result<Option<String>> {
        self.string(ffi::STRING_UTF8, |bytes| {
            Ok(String::from_utf8(copied(bytes)?)
                .unwrap_or_else(|b| String::from_utf8_lossy(b.as_bytes()).into_owned()))
        })
    }

    /// The bytes that name a file, as perl's own functions pass them to the system (perlfunc:
    /// `chdir`; perlapi: `SvPV`): the string as perl holds it, in UTF-8 if it is a wide one, even
    /// if all of its characters are below 256. There may be a NUL among them.
    ///
    /// `None` is what is no string: undef, a glob, a reference that does not overload `""`.
    /// Returns `Err` if a tie or an overload method dies or exits.
    ///
    /// ```
    /// # use perlxs::*;
    /// # use std::ffi::OsStr;
    /// # use std::os::unix::ffi::OsStrExt;
    /// /// `exists($path)`: as perl's `-e` takes it.
    /// fn exists(call: &Call<'_>) -> Result<Value> {
    ///     let name = call.arg(0).file_name()?;
    ///     let name = name.ok_or_else(|| Error::croak("exists needs a path"))?;
    ///     Ok(std::path::Path::new(OsStr::from_bytes(&name)).exists().into())
    /// }
    /// ```
    /// ```perl
    /// &exists('/dev/null');           # 1
    /// &exists('/no/such');            # ''
    /// &exists(\*STDOUT);              # dies: exists needs a path
    /// ```
    pub fn file_name(&self) -> Result<Option<Vec<u8>>> {
        self.string(ffi::STRING_NAME, copied)
    }

    /// The string itself, one byte for each character, not a copy where perl has it so; `None` for
    /// undef (perlapi: `SvPVbyte`). It stays as it is: where perl code runs while it is borrowed,
    /// that gets a copy.
    ///
    /// Returns `Err` as [`bytes`](Scalar::bytes) does.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `count($bytes, $byte)`: how often the byte is in it, without a copy of it.
    /// fn count(call: &Call<'_>) -> Result<Value> {
    ///     let (bytes, byte) = (call.arg(0), call.arg(1).number()?.integer());
    ///     let bytes: Option<Bytes<'_>> = bytes.borrow_bytes()?;
    ///     let bytes = bytes.ok_or_else(|| Error::croak("count needs a string"))?;
    ///     Ok(bytes.iter().filter(|&&b| Some(i128::from(b)) == byte).count().into())
    /// }
    ///
    /// /// `words($text, $code)`: the code is called for each word.
    /// fn words(call: &Call<'_>) -> Result<Value> {
    ///     let (text, code) = (call.arg(0), call.arg(1));
    ///     let code = code.code()?.ok_or_else(|| Error::croak("words needs code"))?;
    ///     let text: Option<Text<'_>> = text.borrow_text()?;
    ///     for word in text.as_deref().unwrap_or_default().split(' ') {
    ///         code.call(&[Scalar::new(call.perl(), word)])?;
    ///     }
    ///     Ok(().into())
    /// }
    /// ```
    /// ```perl
    /// count('banana', ord 'a');       # 3
    /// count(undef, 1);                # dies: count needs a string
    /// my ($text, @words) = 'not to be';
    /// words($text, sub { push @words, @_; $text = 'other' x 1000 });
    /// @words;                         # 'not', 'to', 'be'
    /// ```
    pub fn borrow_bytes(&self) -> Result<Option<Bytes<'_>>> {
        self.borrow(ffi::STRING_BYTES)
    }

    /// The string itself as text, not a copy where perl has it so; `None` for undef (perlapi:
    /// `SvPVutf8`). It stays as it is, as of [`borrow_bytes`](Scalar::borrow_bytes).
    ///
    /// Characters that are not Unicode become U+FFFD. Returns `Err` as [`text`](Scalar::text) does.
    ///
    /// Example: [`Scalar::borrow_bytes`].
    pub fn borrow_text(&self) -> Result<Option<Text<'_>>> {
        self.lent_text()
    }

    /// The string as bytes: what lends it keeps it, whatever becomes of the scalar.
    pub(crate) fn lent_bytes<'a>(&self) -> Result<Option<Bytes<'a>>> {
        self.borrow(ffi::STRING_BYTES)
    }

    /// The same as text.
    pub(crate) fn lent_text<'a>(&self) -> Result<Option<Text<'a>>> {
        let bytes = self.borrow(ffi::STRING_UTF8)?;
        Ok(bytes.map(|bytes| match std::str::from_utf8(&bytes) {
            Ok(_) => Text(TextOf::Perl(bytes)),
            Err(_) => Text(TextOf::Rust(String::from_utf8_lossy(&bytes).into_owned())),
        }))
    }

    #[inline]
    fn borrow<'a>(&self, form: i32) -> Result<Option<Bytes<'a>>> {
        let mut string = ffi::String {
            p: ptr::null(),
            len: 0,
            place: 0,
        };
        let perl = self.perl();
        let owner = Self::stored(perl, |owner, error| {
            let (perl, sv) = (perl.raw(), self.raw());
            // SAFETY: a live scalar of this interpreter; the places outlive the call.
            unsafe { ffi::perlxs_sv_borrow(perl, sv, form, &mut string, owner, error) }
        })?;
        if string.p.is_null() {
            return Ok(None);
        }
        Ok(Some(Bytes {
            p: string.p.cast(),
            len: string.len,
            _lender: match owner {
                Some(owner) => Lender::Scalar(owner),
                None => Lender::Place(perl, string.place),
            },
            scalar: PhantomData,
        }))
    }

    /// What `read` makes of the string.
    fn string<T>(&self, form: i32, read: impl FnOnce(&[u8]) -> Result<T>) -> Result<Option<T>> {
        let string = self.raw_string(form)?;
        // SAFETY: perl's string, or its owner's; nothing of perl runs meanwhile.
        string
            .map(|(p, len, _owner)| read(unsafe { slice::from_raw_parts(p, len) }))
            .transpose()
    }

    /// Where the string is, and whose it is if it is not this one's.
    fn raw_string(&self, form: i32) -> Result<Option<(*const u8, usize, Option<Scalar>)>> {
        let (mut p, mut len) = (ptr::null(), 0);
        let perl = self.perl().raw();
        let owner = Self::stored(self.perl(), |owner, error| {
            // SAFETY: a live scalar of this interpreter; the places outlive the call.
            unsafe { ffi::perlxs_sv_string(perl, self.raw(), form, &mut p, &mut len, owner, error) }
        })?;
        Ok((!p.is_null()).then(|| (p.cast(), len, owner)))
    }
}

/// A string of perl's, borrowed: it is used as a slice ([`Deref`]).
///
/// Example: [`Scalar::borrow_bytes`].
pub struct Bytes<'a> {
    p: *const u8,
    len: usize,
    _lender: Lender,
    scalar: PhantomData<&'a ()>,
}

/// Who keeps a string.
enum Lender {
    /// A scalar that nobody else has.
    Scalar(#[expect(dead_code, reason = "its drop counts")] Scalar),
    /// The shim.
    Place(Perl, usize),
}

impl Drop for Lender {
    #[inline]
    fn drop(&mut self) {
        match *self {
            Lender::Place(perl, place) if perl.is_alive() => {
                // SAFETY: what it has given, once.
                unsafe { ffi::perlxs_give_back(perl.raw(), place) }
            }
            _ => {}
        }
    }
}

impl Deref for Bytes<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the lender keeps it as it is.
        unsafe { slice::from_raw_parts(self.p, self.len) }
    }
}

impl fmt::Debug for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// Text of perl's, borrowed: it is used as a `str` ([`Deref`]).
///
/// Example: [`Scalar::borrow_bytes`].
pub struct Text<'a>(TextOf<'a>);

enum TextOf<'a> {
    Perl(Bytes<'a>),
    Rust(String),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0 {
            // SAFETY: `borrow_text` has looked.
            TextOf::Perl(bytes) => unsafe { std::str::from_utf8_unchecked(bytes) },
            TextOf::Rust(text) => text,
        }
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// A copy of a string of perl's, with room for a NUL. It may be as large as a perl programmer
/// likes, so that there is no memory for it is an error, not the end of the process.
fn copied(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len() + 1).map_err(|_| {
        Error::croak(format!(
            "Out of memory for a string of {} bytes",
            bytes.len()
        ))
    })?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}
