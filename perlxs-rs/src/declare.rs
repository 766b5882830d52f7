//! The macros that declare what perl sees: from functions with names and types.

use std::ffi::CStr;

pub use crate::class::bless;
pub use crate::typed::{Arguments, Parameter, Takes};

/// A parameter of a function, for the usage message and the numbers of arguments.
#[doc(hidden)]
pub struct Param {
    pub name: &'static str,
    pub takes: Takes,
    pub default: Option<&'static str>,
}

/// The least number of arguments, and the most.
#[doc(hidden)]
pub const fn counts(params: &[Param]) -> (u16, Option<u16>) {
    let (mut least, mut most, mut i) = (0, 0, 0);
    while i < params.len() {
        match (params[i].takes, params[i].default) {
            (Takes::Nothing, _) => {}
            (Takes::Rest, _) => return (least, None),
            (Takes::One, None) => {
                most += 1;
                least = most;
            }
            (Takes::One, Some(_)) | (Takes::OneOrNone, _) => most += 1,
        }
        i += 1;
    }
    (least, Some(most))
}

/// A text that is put together at compile time, with a NUL.
#[doc(hidden)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    const fn new() -> Self {
        Text {
            bytes: [0; N],
            len: 0,
        }
    }

    const fn push(mut self, text: &str) -> Self {
        let text = text.as_bytes();
        let mut i = 0;
        while i < text.len() {
            // with no room it only counts
            if self.len < N {
                self.bytes[self.len] = text[i];
            }
            self.len += 1;
            i += 1;
        }
        self
    }

    #[doc(hidden)]
    pub const fn len_with_nul(&self) -> usize {
        self.len + 1
    }

    #[doc(hidden)]
    pub const fn c_str(&self) -> &CStr {
        c_str(&self.bytes)
    }
}

/// The parameters in the usage message: `a, b = undef, ...`.
#[doc(hidden)]
pub const fn usage<const N: usize>(params: &[Param]) -> Text<N> {
    let mut text = Text::new();
    let mut i = 0;
    while i < params.len() {
        let param = &params[i];
        i += 1;
        if matches!(param.takes, Takes::Nothing) {
            continue;
        }
        if text.len > 0 {
            text = text.push(", ");
        }
        text = match (param.takes, param.default) {
            (Takes::Rest, _) => text.push("..."),
            (_, Some(default)) => text.push(param.name).push(" = ").push(default),
            (Takes::OneOrNone, None) => text.push(param.name).push(" = undef"),
            (_, None) => text.push(param.name),
        };
    }
    text
}

/// The numbers of arguments that parameters in words ask for: `a, b = 0`; any number with `...`, an
/// `@array` or a `%hash`.
#[doc(hidden)]
pub const fn counts_in_words(params: &str) -> (u16, Option<u16>) {
    let text = params.as_bytes();
    let (mut least, mut most, mut i) = (0, 0, 0);
    while i < text.len() {
        if matches!(text[i], b'.' | b'@' | b'%') {
            return (least, None);
        }
        most += 1;
        let mut is_optional = false;
        while i < text.len() && text[i] != b',' {
            is_optional |= text[i] == b'=';
            i += 1;
        }
        if !is_optional {
            least = most;
        }
        // the comma and the space
        i += 2;
    }
    (least, Some(most))
}

/// # Panics
/// If there is a NUL within it.
#[doc(hidden)]
pub const fn c_str(text: &[u8]) -> &CStr {
    match CStr::from_bytes_with_nul(text) {
        Ok(text) => text,
        Err(_) => panic!("a NUL in a name or a text for perl"),
    }
}

/// Defines a module: the functions, classes and constants that perl sees, and the function that
/// perl calls when it loads the extension ([`boot!`](crate::boot)).
///
/// First come the package and the version, which must be that of the `.pm` file. Then:
///
/// - `fn name(a: i64, b: &str = "x") -> String { ... }`: an XSUB. The types of its parameters are
///   [`FromPerl`](crate::FromPerl), or one of the others in the table there; its result is
///   [`IntoPerl`](crate::IntoPerl). The least and the most arguments, and the usage message, are
///   what the parameters say: an `Option`, and one with a default, may be missing. It stays a
///   function that Rust can call too.
/// - `fn name :prototype("$;$") (a: i64, b: Option<i64>)`: with a prototype (perlsub).
/// - `fn name(call: "a, b = 0")`: one that reads its arguments itself, with `call: &Call<'_>`. The
///   text is that of the usage message; the numbers of arguments follow from it, too. It returns
///   anything that is `IntoPerl`.
/// - `class Type { fn ... }`: methods of a Rust type, an `impl` block. One without `&self` is a
///   class method; what it returns of that type is an object of the class that it was called for.
///   Perl's class is the module's package and the type; `class Type as Other::Name` names another.
/// - `const NAME = value;`: a constant ([`Constant`](crate::Constant)), of any type that is
///   `IntoPerl`. The value is computed once for each interpreter that loads the module.
/// - `use path::LIST;`: what [`xsubs!`](crate::xsubs) has put into `LIST`, in another file perhaps.
///
/// A block may have a hundred of these; for more, give your crate a greater `recursion_limit`.
///
/// ```
/// # use perlxs::*;
/// # use std::collections::HashMap;
/// /// To perl a hash of counts.
/// struct Counts {
///     counts: HashMap<String, u64>,
/// }
///
/// perlxs::module! {
///     Some::Words "1.0";
///
///     /// The words of a text.
///     fn words(text: &str, separator: &str = " ") -> Vec<String> {
///         text.split(separator).map(String::from).collect()
///     }
///
///     fn least :prototype("$;$") (a: f64, b: Option<f64>) -> f64 {
///         b.map_or(a, |b| b.min(a))
///     }
///
///     fn parse(text: &str) -> Result<i64, std::num::ParseIntError> {
///         text.parse()
///     }
///
///     fn how_many(call: "...") -> usize {
///         call.len()
///     }
///
///     /// How often there is a word.
///     class Counts {
///         fn new() -> Counts {
///             Counts { counts: HashMap::new() }
///         }
///
///         fn add(&mut self, word: String) -> u64 {
///             let count = self.counts.entry(word).or_default();
///             *count += 1;
///             *count
///         }
///
///         fn all(&self) -> HashMap<String, u64> {
///             self.counts.clone()
///         }
///     }
///
///     const LIMIT = 42;
///     const NAMES = ["one", "two"];
/// }
/// ```
/// ```perl
/// XSLoader::load('Some::Words', '1.0');
/// Some::Words::words('a b');              # ['a', 'b']
/// Some::Words::words('a-b', '-');         # ['a', 'b']
/// Some::Words::words([]);                 # dies: text must be a string, not a reference to an
/// Some::Words::words();                   # dies: Usage: Some::Words::words(text, separator = " ")
/// Some::Words::least(3, 2);               # 2
/// Some::Words::least(3);                  # 3
/// prototype 'Some::Words::least';         # '$;$'
/// Some::Words::parse('x');                # dies: invalid digit found in string at
/// Some::Words::how_many(1, 2, 3);         # 3
/// my $counts = Some::Words::Counts->new;
/// $counts->add('a');                      # 1
/// $counts->add('a');                      # 2
/// $counts->all;                           # { a => 2 }
/// Some::Words::LIMIT();                   # 42
/// Some::Words::NAMES();                   # ['one', 'two']
/// ```
#[macro_export]
macro_rules! module {
    ($first:ident $(:: $rest:ident)* $version:literal; $($items:tt)*) => {
        $crate::declare_items!(
            (concat!(stringify!($first) $(, "::", stringify!($rest))*)) $($items)*
        );
        $crate::define_boot!(
            concat!("boot_", stringify!($first) $(, "__", stringify!($rest))*),
            || $crate::declare_table!(
                (concat!(stringify!($first) $(, "::", stringify!($rest))*)) (module $version)
                [] [] [] $($items)*
            )
        );
    };
}

/// Defines a list of XSUBs for a [`module!`](crate::module), or [`Module::xsubs`], elsewhere: by
/// the same functions and classes.
///
/// [`Module::xsubs`]: crate::Module::xsubs
///
/// ```
/// # use perlxs::*;
/// mod numbers {
///     perlxs::xsubs! {
///         pub static XSUBS in Some::Split;
///
///         fn double(n: i64) -> i64 {
///             n * 2
///         }
///     }
/// }
///
/// mod texts {
///     perlxs::xsubs! {
///         pub static XSUBS in Some::Split;
///
///         fn double_text(text: &str) -> String {
///             text.repeat(2)
///         }
///     }
/// }
///
/// perlxs::module! {
///     Some::Split "1.0";
///     use numbers::XSUBS;
///     use texts::XSUBS;
/// }
///
/// fn by_hand() -> Module {
///     Module::new(c"Some::Split", c"1.0", &[]).xsubs(numbers::XSUBS).xsubs(texts::XSUBS)
/// }
/// ```
/// ```perl
/// XSLoader::load('Some::Split', '1.0');
/// Some::Split::double(21);                # 42
/// Some::Split::double_text('ab');         # 'abab'
/// ```
#[macro_export]
macro_rules! xsubs {
    ($vis:vis static $list:ident in $first:ident $(:: $rest:ident)*; $($items:tt)*) => {
        $crate::declare_items!(
            (concat!(stringify!($first) $(, "::", stringify!($rest))*)) $($items)*
        );
        $vis static $list: &[&$crate::Xsub] = $crate::declare_table!(
            (concat!(stringify!($first) $(, "::", stringify!($rest))*)) (list) [] [] [] $($items)*
        );
    };
}

/// Code that is a Rust closure with typed parameters, as of a function of
/// [`module!`](crate::module): `closure!(perl, |a: i64, b: i64| a + b)`. It is a `move` closure
/// ([`Code::from_fn`](crate::Code::from_fn)).
///
/// ```
/// # use perlxs::*;
/// /// `adder($n)`: code that adds `$n`.
/// fn adder(call: &Call<'_>) -> Result<Value> {
///     let n = i64::from_perl(&call.arg(0), &Name::new("n"))?;
///     Ok(perlxs::closure!(call.perl(), |m: i64| n + m).into())
/// }
/// ```
/// ```perl
/// adder(40)->(2);                 # 42
/// adder(40)->('x');               # dies: m must be an integer (i64), not the string "x"
/// adder(40)->();                  # dies: Usage: CODE(m) at
/// ```
#[macro_export]
macro_rules! closure {
    ($perl:expr, |$($a:ident : $t:ty),* $(,)?| $body:expr) => {
        $crate::Code::from_fn($perl, move |call| -> $crate::Result<$crate::Value> {
            const PARAMS: &[$crate::declare::Param] =
                &[$($crate::declare_param!($a: $t)),*];
            $crate::declare::check(call, PARAMS)?;
            let _arguments = &mut $crate::declare::Arguments::new(call);
            $($crate::declare_hold!(_arguments, $a: $t);)*
            $(let $a: $t = $crate::declare_lend!($a: $t);)*
            $crate::IntoPerl::into_return($body, call.perl(), None)
        })
    };
}

/// Returns `Err` if a closure is not called with as many arguments as it takes.
#[doc(hidden)]
pub fn check(call: &crate::Call<'_>, params: &'static [Param]) -> crate::Result<()> {
    let (least, most) = counts(params);
    let len = call.len();
    if len < least.into() || most.is_some_and(|most| len > most.into()) {
        let text = usage::<1024>(params);
        let text = String::from_utf8_lossy(&text.bytes[..text.len.min(1024)]).into_owned();
        return Err(crate::Error::croak(format!("Usage: CODE({text})")));
    }
    Ok(())
}

/// The Rust side of the items: functions, and `impl` blocks.
#[doc(hidden)]
#[macro_export]
macro_rules! declare_items {
    ($package:tt) => {};
    ($package:tt
        $(#[$meta:meta])* fn $name:ident $(: $attr:ident ($value:literal))* ($($params:tt)*)
            $(-> $ret:ty)? $body:block
        $($rest:tt)*
    ) => {
        $crate::declare_fn!([$(#[$meta])*] $name ($($params)*) [$(-> $ret)?] $body);
        $crate::declare_items!($package $($rest)*);
    };
    ($package:tt
        $(#[$meta:meta])* class $class:ident as $first:ident $(:: $part:ident)* { $($methods:tt)* }
        $($rest:tt)*
    ) => {
        $crate::declare_class!(
            (concat!(stringify!($first) $(, "::", stringify!($part))*))
            [$(#[$meta])*] $class $($methods)*
        );
        $crate::declare_items!($package $($rest)*);
    };
    (($package:expr)
        $(#[$meta:meta])* class $class:ident { $($methods:tt)* }
        $($rest:tt)*
    ) => {
        $crate::declare_class!(
            (concat!($package, "::", stringify!($class))) [$(#[$meta])*] $class $($methods)*
        );
        $crate::declare_items!(($package) $($rest)*);
    };
    ($package:tt $(#[$meta:meta])* const $name:ident = $value:expr; $($rest:tt)*) => {
        $crate::declare_items!($package $($rest)*);
    };
    ($package:tt use $list:path; $($rest:tt)*) => {
        $crate::declare_items!($package $($rest)*);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! declare_class {
    ($package:tt [$($class_meta:tt)*] $class:ident $(
        $(#[$meta:meta])* fn $name:ident $(: $attr:ident ($value:literal))* ($($params:tt)*)
            $(-> $ret:ty)? $body:block
    )*) => {
        $($class_meta)*
        impl $class {
            $($crate::declare_fn!([$(#[$meta])*] $name ($($params)*) [$(-> $ret)?] $body);)*
        }

        impl $crate::Class for $class {
            const PACKAGE: &'static str = $package;
        }

        impl $crate::IntoPerl for $class {
            fn into_perl(self, perl: $crate::Perl) -> $crate::Result<$crate::Value> {
                $crate::declare::bless(self, perl, None)
            }

            fn into_return(
                self,
                perl: $crate::Perl,
                class: Option<&$crate::Scalar>,
            ) -> $crate::Result<$crate::Value> {
                $crate::declare::bless(self, perl, class)
            }
        }
    };
}

/// A function as Rust has it: without the defaults.
#[doc(hidden)]
#[macro_export]
macro_rules! declare_fn {
    ([$($meta:tt)*] $name:ident ($call:ident : $params:literal) [$($ret:tt)*] $body:block) => {
        $($meta)* fn $name($call: &$crate::Call<'_>) $($ret)* $body
    };
    ([$($meta:tt)*] $name:ident (&mut $this:ident $(, $a:ident : $t:ty $(= $d:expr)?)* $(,)?)
        [$($ret:tt)*] $body:block
    ) => {
        $($meta)* fn $name(&mut $this $(, $a: $t)*) $($ret)* $body
    };
    ([$($meta:tt)*] $name:ident (& $this:ident $(, $a:ident : $t:ty $(= $d:expr)?)* $(,)?)
        [$($ret:tt)*] $body:block
    ) => {
        $($meta)* fn $name(& $this $(, $a: $t)*) $($ret)* $body
    };
    ([$($meta:tt)*] $name:ident ($($a:ident : $t:ty $(= $d:expr)?),* $(,)?)
        [$($ret:tt)*] $body:block
    ) => {
        $($meta)* fn $name($($a: $t),*) $($ret)* $body
    };
}

/// Perl's side of the items: lists of the XSUBs, the constants and the lists elsewhere, at last put
/// into what is wanted.
#[doc(hidden)]
#[macro_export]
macro_rules! declare_table {
    ($package:tt (list) [$($xsub:expr,)*] [] []) => {
        &[$($xsub),*]
    };
    (($package:expr) (module $version:literal)
        [$($xsub:expr,)*] [$($constant:expr,)*] [$($list:path,)*]
    ) => {
        $crate::Module::new(
            const { $crate::declare::c_str(concat!($package, "\0").as_bytes()) },
            const { $crate::declare::c_str(concat!($version, "\0").as_bytes()) },
            &[$($xsub),*],
        )
        $(.xsubs(&$list))*
        .constants([$($constant),*])
    };
    ($package:tt $what:tt [$($xsubs:tt)*] $constants:tt $lists:tt
        $(#[$meta:meta])* fn $name:ident $(: $attr:ident ($value:literal))* ($($params:tt)*)
            $(-> $ret:ty)? $body:block
        $($rest:tt)*
    ) => {
        $crate::declare_table!($package $what
            [$($xsubs)* $crate::declare_xsub!(
                $package [] $name [$($attr ($value))*] ($($params)*)
            ),]
            $constants $lists $($rest)*)
    };
    ($package:tt $what:tt [$($xsubs:tt)*] $constants:tt $lists:tt
        $(#[$class_meta:meta])* class $class:ident $(as $first:ident $(:: $part:ident)*)? {
            $($(#[$meta:meta])* fn $name:ident $(: $attr:ident ($value:literal))* ($($params:tt)*)
                $(-> $ret:ty)? $body:block)*
        }
        $($rest:tt)*
    ) => {
        $crate::declare_table!($package $what
            [$($xsubs)* $($crate::declare_xsub!(
                (<$class as $crate::Class>::PACKAGE)
                [$class] $name [$($attr ($value))*] ($($params)*)
            ),)*]
            $constants $lists $($rest)*)
    };
    ($package:tt $what:tt $xsubs:tt [$($constants:tt)*] $lists:tt
        $(#[$meta:meta])* const $name:ident = $value:expr;
        $($rest:tt)*
    ) => {
        $crate::declare_table!($package $what $xsubs
            [$($constants)* $crate::Constant::of(stringify!($name), |perl| {
                $crate::IntoPerl::into_perl($value, perl).expect(stringify!($name))
            }),]
            $lists $($rest)*)
    };
    ($package:tt $what:tt $xsubs:tt $constants:tt [$($lists:tt)*] use $list:path; $($rest:tt)*) => {
        $crate::declare_table!($package $what $xsubs $constants [$($lists)* $list,] $($rest)*)
    };
}

/// One XSUB, as an expression.
#[doc(hidden)]
#[macro_export]
macro_rules! declare_xsub {
    ($package:tt $class:tt $name:ident $attrs:tt ($call:ident : $params:literal)) => {
        $crate::declare_xsub!(@static $package $name $attrs
            $crate::declare::c_str(concat!($params, "\0").as_bytes()),
            $crate::declare::counts_in_words($params),
            |call| {
                let value = $crate::declare_xsub!(@path $class $name)(call);
                $crate::IntoPerl::into_return(value, call.perl(), None)
            })
    };
    ($package:tt [$class:ident] $name:ident $attrs:tt
        (&mut $this:ident $(, $a:ident : $t:ty $(= $d:expr)?)* $(,)?)
    ) => {
        $crate::declare_xsub!(@typed $package [$class] $name $attrs
            [(this "self" &mut $class)] $($a: $t $(= $d)?),*)
    };
    ($package:tt [$class:ident] $name:ident $attrs:tt
        (& $this:ident $(, $a:ident : $t:ty $(= $d:expr)?)* $(,)?)
    ) => {
        $crate::declare_xsub!(@typed $package [$class] $name $attrs
            [(this "self" &$class)] $($a: $t $(= $d)?),*)
    };
    ($package:tt [$class:ident] $name:ident $attrs:tt
        ($($a:ident : $t:ty $(= $d:expr)?),* $(,)?)
    ) => {
        $crate::declare_xsub!(@typed $package [$class] $name $attrs
            [class] $($a: $t $(= $d)?),*)
    };
    ($package:tt [] $name:ident $attrs:tt ($($a:ident : $t:ty $(= $d:expr)?),* $(,)?)) => {
        $crate::declare_xsub!(@typed $package [] $name $attrs
            [] $($a: $t $(= $d)?),*)
    };
    (@typed $package:tt $class:tt $name:ident $attrs:tt
        [$(($this:ident $self:literal $receiver:ty))? $($invocant:ident)?]
        $($a:ident : $t:ty $(= $d:expr)?),*
    ) => {{
        const PARAMS: &[$crate::declare::Param] = &[
            $($crate::declare::Param {
                name: $self,
                takes: <$receiver as $crate::declare::Parameter<_>>::TAKES,
                default: None,
            },)?
            $($crate::declare::Param {
                name: stringify!($invocant),
                takes: $crate::declare::Takes::One,
                default: None,
            },)?
            $($crate::declare_param!($a: $t $(= $d)?)),*
        ];
        const LEN: usize = $crate::declare::usage::<0>(PARAMS).len_with_nul();
        static USAGE: $crate::declare::Text<LEN> = $crate::declare::usage(PARAMS);
        $crate::declare_xsub!(@static $package $name $attrs
            USAGE.c_str(), $crate::declare::counts(PARAMS),
            |call| {
                // a parameter may have the same name
                let function = $crate::declare_xsub!(@path $class $name);
                let _arguments = &mut $crate::declare::Arguments::new(call);
                let _class: Option<$crate::Scalar> = None;
                $(
                    let mut $this = <$receiver as $crate::declare::Parameter<_>>::hold(
                        _arguments, $self)?;
                )?
                $(
                    let $invocant = <$crate::Scalar as $crate::declare::Parameter<_>>::hold(
                        _arguments, stringify!($invocant))?;
                    let _class: Option<$crate::Scalar> = $invocant;
                )?
                $($crate::declare_hold!(_arguments, $a: $t $(= $d)?);)*
                let value = function(
                    $(<$receiver as $crate::declare::Parameter<_>>::lend(&mut $this),)?
                    $($crate::declare_lend!($a: $t $(= $d)?)),*
                );
                $crate::IntoPerl::into_return(value, call.perl(), _class.as_ref())
            })
    }};
    (@static $package:tt $name:ident [$($attr:ident ($value:literal))*]
        $params:expr, $counts:expr, $body:expr
    ) => {{
        const NAME: $crate::declare::Parts = $crate::declare::Parts($package, stringify!($name));
        static FULL: $crate::declare::Text<{ NAME.len_with_nul() }> = NAME.text();
        const COUNTS: (u16, Option<u16>) = $counts;
        static XSUB: $crate::Xsub =
            $crate::Xsub::new(FULL.c_str(), $params, COUNTS.0, COUNTS.1, $body)
            $(.$attr($crate::declare::c_str(concat!($value, "\0").as_bytes())))*;
        &XSUB
    }};
    (@path [] $name:ident) => { $name };
    (@path [$class:ident] $name:ident) => { $class::$name };
}

/// A package and a name in it.
#[doc(hidden)]
pub struct Parts(pub &'static str, pub &'static str);

impl Parts {
    #[doc(hidden)]
    pub const fn len_with_nul(&self) -> usize {
        self.text::<0>().len_with_nul()
    }

    #[doc(hidden)]
    pub const fn text<const N: usize>(&self) -> Text<N> {
        Text::new().push(self.0).push("::").push(self.1)
    }
}

#[doc(hidden)]
#[macro_export]
macro_rules! declare_param {
    ($a:ident : $t:ty) => {
        $crate::declare::Param {
            name: stringify!($a),
            takes: <$t as $crate::declare::Parameter<_>>::TAKES,
            default: None,
        }
    };
    ($a:ident : $t:ty = $d:expr) => {
        $crate::declare::Param {
            name: stringify!($a),
            takes: <$t as $crate::declare::Parameter<_>>::TAKES,
            default: Some(stringify!($d)),
        }
    };
}

/// What keeps an argument during the call, as a variable of its name.
#[doc(hidden)]
#[macro_export]
macro_rules! declare_hold {
    ($arguments:ident, $a:ident : $t:ty) => {
        let mut $a = <$t as $crate::declare::Parameter<_>>::hold($arguments, stringify!($a))?;
    };
    ($arguments:ident, $a:ident : $t:ty = $d:expr) => {
        let mut $a = match $arguments.more() {
            true => Some(<$t as $crate::declare::Parameter<_>>::hold(
                $arguments,
                stringify!($a),
            )?),
            false => None,
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! declare_lend {
    ($a:ident : $t:ty) => {
        <$t as $crate::declare::Parameter<_>>::lend(&mut $a)
    };
    ($a:ident : $t:ty = $d:expr) => {
        match &mut $a {
            Some(held) => <$t as $crate::declare::Parameter<_>>::lend(held),
            None => $d,
        }
    };
}
