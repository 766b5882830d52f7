//! Arrays.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;

use crate::aggregate::{clear, collect};
use crate::guard::contained;
use crate::{Number, Perl, Result, Scalar, Value, ffi};

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

    /// As [`of`](Array::of), of what may fail: the first error is what this returns, and the array
    /// is dropped.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `numbers($text)`: those that are in it.
    /// fn numbers(call: &Call<'_>) -> Result<Value> {
    ///     let text = call.arg(0).text()?.unwrap_or_default();
    ///     let numbers = text.split_whitespace().map(|word| word.parse::<i64>());
    ///     Ok((&Array::try_of(call.perl(), numbers)?).into())
    /// }
    /// ```
    /// ```perl
    /// numbers('7 -1');                # [7, -1]
    /// numbers('7 x 1');               # dies: invalid digit found in string
    /// ```
    pub fn try_of<V: Into<Value>, E>(
        perl: Perl,
        values: impl IntoIterator<Item = Result<V, E>>,
    ) -> Result<Self, E> {
        let mut failed = None;
        let values = values
            .into_iter()
            .map_while(|value| kept(value, &mut failed));
        let array = Array::of(perl, values);
        failed.map_or(Ok(array), Err)
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

    /// Removes the first element and returns it, or `None` if there is none.
    ///
    /// Example: [`Array::splice`].
    pub fn shift(&self) -> Result<Option<Scalar>> {
        Scalar::stored(self.av.perl(), |out, error| {
            // SAFETY: a live array of this interpreter; the places outlive the call.
            unsafe { ffi::perlxs_array_shift(self.av.perl().raw(), self.av.raw(), out, error) }
        })
    }

    /// Puts a copy of a value before the first element.
    ///
    /// Example: [`Array::splice`].
    pub fn unshift(&self, value: impl Into<Value>) -> Result<()> {
        self.splice(0, 0, [value]).map(drop)
    }

    /// Puts copies of these values in the place of `len` elements from `i` on, or of as many as
    /// there are, and returns those. With an `i` beyond the end it appends (perlfunc: `splice`).
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `queue(\@array)`: moves its first element to its end, but not where there is none; then
    /// /// what was in the middle.
    /// fn queue(call: &Call<'_>) -> Result<Value> {
    ///     let array = call.arg(0).array()?.ok_or_else(|| Error::croak("queue needs an array"))?;
    ///     match array.exists(0)? {
    ///         true => drop(array.delete(0)?),
    ///         false => return Ok("nothing".into()),
    ///     }
    ///     array.shift()?;
    ///     array.unshift("first")?;
    ///     Ok(Value::list(array.splice(1, 2, ["a", "b", "c"])?))
    /// }
    /// ```
    /// ```perl
    /// my @array = (1 .. 5);
    /// queue(\@array);                 # 2, 3
    /// "@array";                       # 'first a b c 4 5'
    /// queue([]);                      # 'nothing'
    /// ```
    pub fn splice<V: Into<Value>>(
        &self,
        i: usize,
        len: usize,
        values: impl IntoIterator<Item = V>,
    ) -> Result<Vec<Scalar>> {
        let perl = self.av.perl();
        let values: Vec<Scalar> = values.into_iter().map(|v| Scalar::new(perl, v)).collect();
        let raw: Vec<_> = values.iter().map(|value| value.raw_of(perl)).collect();
        let removed = Scalar::stored(perl, |out, error| {
            let (av, p, n) = (self.av.raw(), raw.as_ptr(), raw.len());
            // SAFETY: a live array and live scalars of this interpreter; the places outlive the
            // call.
            unsafe { ffi::perlxs_array_splice(perl.raw(), av, i, len, p, n, out, error) }
        })?;
        Ok(removed.map_or_else(Vec::new, |removed| removed.unpacked()))
    }

    /// Whether element `i` has ever been set, and has not been deleted (perlfunc: `exists`).
    ///
    /// Example: [`Array::splice`].
    pub fn exists(&self, i: usize) -> Result<bool> {
        let perl = self.av.perl();
        let mut exists = 0;
        contained(perl, |error| {
            // SAFETY: a live array of this interpreter; `exists` outlives the call.
            unsafe { ffi::perlxs_array_exists(perl.raw(), self.av.raw(), i, &mut exists, error) }
        })?;
        Ok(exists != 0)
    }

    /// Deletes element `i` and returns it, or `None` if there was none; those after it stay where
    /// they are (perlfunc: `delete`).
    ///
    /// Example: [`Array::splice`].
    pub fn delete(&self, i: usize) -> Result<Option<Scalar>> {
        Scalar::stored(self.av.perl(), |out, error| {
            // SAFETY: a live array of this interpreter; the places outlive the call.
            unsafe { ffi::perlxs_array_delete(self.av.perl().raw(), self.av.raw(), i, out, error) }
        })
    }

    /// The elements, not copies, one after the other: undef where there is none. If the array
    /// changes meanwhile, so does what comes.
    ///
    /// An item is `Err` if a tie method dies or exits.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `longest(\@words)`
    /// fn longest(call: &Call<'_>) -> Result<Value> {
    ///     let words = call.arg(0).array()?.ok_or_else(|| Error::croak("longest needs an array"))?;
    ///     let mut longest = String::new();
    ///     let words: Elements<'_> = words.iter();
    ///     for word in words {
    ///         let word = word?.text()?.unwrap_or_default();
    ///         if word.len() > longest.len() {
    ///             longest = word;
    ///         }
    ///     }
    ///     Ok(longest.into())
    /// }
    /// ```
    /// ```perl
    /// longest([qw(a bcd ef)]);        # 'bcd'
    /// ```
    pub fn iter(&self) -> Elements<'_> {
        Elements {
            array: self,
            elements: [const { MaybeUninit::uninit() }; WALK],
            given: 0,
            got: 0,
            next: 0,
        }
    }

    /// What [`Scalar::number`] says of each element, many times faster than a call for each. If the
    /// array changes meanwhile, so does what comes, up to 64 elements later.
    ///
    /// An item is `Err` if a tie or an overload method dies or exits.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `sum(\@numbers)`
    /// fn sum(call: &Call<'_>) -> Result<Value> {
    ///     let numbers = call.arg(0).array()?.ok_or_else(|| Error::croak("sum needs an array"))?;
    ///     let mut sum = 0;
    ///     let numbers: Numbers<'_> = numbers.numbers();
    ///     for number in numbers {
    ///         sum += number?.integer().unwrap_or(0) as i64;
    ///     }
    ///     Ok(sum.into())
    /// }
    /// ```
    /// ```perl
    /// sum([1, 2, '39']);              # 42
    /// ```
    pub fn numbers(&self) -> Numbers<'_> {
        Numbers {
            array: self,
            integers: [const { MaybeUninit::uninit() }; WALK],
            numbers: [const { MaybeUninit::uninit() }; WALK],
            given: 0,
            integers_got: 0,
            numbers_got: 0,
            next: 0,
        }
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

/// The value; an error is kept aside.
pub(crate) fn kept<T, E>(result: Result<T, E>, failed: &mut Option<E>) -> Option<T> {
    result.map_err(|error| *failed = Some(error)).ok()
}

/// How many elements of an array come at a time.
const WALK: usize = 64;

/// The numbers of an array: [`Array::numbers`].
///
/// Example: [`Array::numbers`].
pub struct Numbers<'a> {
    array: &'a Array,
    /// What is here are integers, or else any numbers.
    integers: [MaybeUninit<i64>; WALK],
    numbers: [MaybeUninit<ffi::Number>; WALK],
    /// Of these, how many are done with.
    given: usize,
    integers_got: usize,
    numbers_got: usize,
    /// The first element that is not here.
    next: usize,
}

impl Numbers<'_> {
    #[inline]
    fn here(&mut self) -> Option<Number> {
        let i = self.given;
        if i < self.integers_got {
            self.given += 1;
            // SAFETY: the shim has written as many.
            return Some(Number::Int(unsafe { self.integers[i].assume_init() }));
        }
        if i < self.numbers_got {
            self.given += 1;
            // SAFETY: likewise.
            return Some(unsafe { self.numbers[i].assume_init() }.read());
        }
        None
    }

    #[cold]
    fn fill(&mut self) -> Result<Option<Number>> {
        let (perl, av) = (self.array.av.perl().raw(), self.array.av.raw());
        (self.given, self.integers_got, self.numbers_got) = (0, 0, 0);
        let p = self.integers.as_mut_ptr().cast();
        // SAFETY: a live array of this interpreter, and room for as many.
        self.integers_got = unsafe { ffi::perlxs_array_integers(perl, av, self.next, p, WALK) };
        if self.integers_got < WALK / 8 {
            let p = self.numbers.as_mut_ptr().cast();
            // SAFETY: likewise.
            self.numbers_got = unsafe { ffi::perlxs_array_numbers(perl, av, self.next, p, WALK) };
            self.integers_got = 0;
        }
        self.next += self.integers_got + self.numbers_got;
        if let Some(number) = self.here() {
            return Ok(Some(number));
        }
        // the end, or one that is not plain
        if self.next >= self.array.len()? {
            return Ok(None);
        }
        let element = self.array.get(self.next)?;
        self.next += 1;
        Ok(Some(element.map_or(Ok(Number::Undef), |sv| sv.number())?))
    }
}

impl Iterator for Numbers<'_> {
    type Item = Result<Number>;

    #[inline]
    fn next(&mut self) -> Option<Result<Number>> {
        match self.here() {
            Some(number) => Some(Ok(number)),
            None => self.fill().transpose(),
        }
    }
}

/// The elements of an array: [`Array::iter`].
///
/// Example: [`Array::iter`].
pub struct Elements<'a> {
    array: &'a Array,
    /// Those that are here, ours from the first that has not been given.
    elements: [MaybeUninit<*mut ffi::Sv>; WALK],
    given: usize,
    got: usize,
    next: usize,
}

impl Elements<'_> {
    #[inline]
    fn here(&mut self) -> Option<Scalar> {
        if self.given == self.got {
            return None;
        }
        self.given += 1;
        // SAFETY: the shim has written as many, and counted them for us; it is given once.
        unsafe {
            let sv = self.elements[self.given - 1].assume_init();
            Some(Scalar::from_owned(self.array.av.perl(), sv))
        }
    }

    #[cold]
    fn fill(&mut self) -> Result<Option<Scalar>> {
        let perl = self.array.av.perl();
        let (av, p) = (self.array.av.raw(), self.elements.as_mut_ptr().cast());
        self.given = 0;
        // SAFETY: a live array of this interpreter, and room for as many.
        self.got = unsafe { ffi::perlxs_array_elements(perl.raw(), av, self.next, p, WALK) };
        self.next += self.got;
        if let Some(element) = self.here() {
            return Ok(Some(element));
        }
        // the end, or one that is not there, or has magic
        if self.next >= self.array.len()? {
            return Ok(None);
        }
        let element = self.array.get(self.next)?;
        self.next += 1;
        Ok(Some(element.unwrap_or_else(|| Scalar::new(perl, ()))))
    }
}

impl Drop for Elements<'_> {
    fn drop(&mut self) {
        while self.here().is_some() {}
    }
}

impl Iterator for Elements<'_> {
    type Item = Result<Scalar>;

    #[inline]
    fn next(&mut self) -> Option<Result<Scalar>> {
        match self.here() {
            Some(element) => Some(Ok(element)),
            None => self.fill().transpose(),
        }
    }
}

impl From<&Array> for Value {
    /// A reference to the array.
    fn from(array: &Array) -> Self {
        Value::Scalar(array.av.reference())
    }
}

impl From<Array> for Value {
    /// A reference to the array.
    fn from(array: Array) -> Self {
        (&array).into()
    }
}
