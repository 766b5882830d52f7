//! The strings of scalars.

#![allow(unsafe_code)]

use std::slice;

use crate::{Error, Result, Scalar, ffi};

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
        self.string(ffi::STRING_BYTES)
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
        let utf8 = self.string(ffi::STRING_UTF8)?;
        Ok(utf8.map(|b| {
            String::from_utf8(b)
                .unwrap_or_else(|b| String::from_utf8_lossy(b.as_bytes()).into_owned())
        }))
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
        self.string(ffi::STRING_NAME)
    }

    fn string(&self, form: i32) -> Result<Option<Vec<u8>>> {
        let copy = Self::stored(self.perl(), |out, error| {
            // SAFETY: a live scalar of this interpreter; the places outlive the call.
            unsafe { ffi::perlxs_sv_string(self.perl().raw(), self.raw(), form, out, error) }
        })?;
        copy.map(|copy| owned(copy.buffer())).transpose()
    }

    /// The buffer of a plain string.
    pub(crate) fn buffer(&self) -> &[u8] {
        let mut len = 0;
        // SAFETY: called only for strings that the shim made; the buffer lives as they do.
        unsafe {
            let p = ffi::perlxs_sv_buffer(self.perl().raw(), self.raw(), &mut len);
            slice::from_raw_parts(p.cast(), len)
        }
    }
}

/// A copy of a string of perl's, with room for a NUL. It may be as large as a perl programmer
/// likes, so that there is no memory for it is an error, not the end of the process.
fn owned(bytes: &[u8]) -> Result<Vec<u8>> {
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
