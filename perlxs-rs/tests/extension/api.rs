//! Smaller parts of the interface, each by an XSUB of its own.

use perlxs::{Call, Form, Result, Value, Xsub};

use crate::{Counted, watched};

/// `form($sv)`
fn form(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    Ok(match call.arg(0).form()? {
        Form::Float(f) => format!("float {f}").into(),
        form => format!("{form:?}").to_lowercase().into(),
    })
}

/// `convert($sv, $to)`
fn convert(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let sv = call.arg(0);
    Ok(match call.arg(1).text()?.as_deref() {
        Some("iv") => sv.iv()?.into(),
        Some("uv") => sv.uv()?.into(),
        Some("nv") => sv.nv()?.into(),
        _ => sv.pv()?.into(),
    })
}

macro_rules! xsubs {
    ($($static:ident $name:literal ($params:literal, $min:expr, $max:expr) $body:path;)*) => {
        $(static $static: Xsub = Xsub::new($name, $params, $min, $max, |call| {
            watched(call, $body)
        });)*
        pub static XSUBS: &[&Xsub] = &[$(&$static),*];
    };
}

xsubs! {
    FORM c"PerlXS::Test::form" (c"sv", 1, Some(1)) form;
    CONVERT c"PerlXS::Test::convert" (c"sv, to", 2, Some(2)) convert;
}
