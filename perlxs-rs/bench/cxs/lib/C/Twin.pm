package C::Twin;

# Rust::Twin's with another name, so that loading either compiles the same Perl.

use strict;
use warnings;

our $VERSION = '1.00';

require XSLoader;
XSLoader::load('C::Twin', $VERSION);

1;
