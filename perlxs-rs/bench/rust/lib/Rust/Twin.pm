package Rust::Twin;

# C::Twin's with another name, so that loading either compiles the same Perl.

use strict;
use warnings;

our $VERSION = '1.00';

require XSLoader;
XSLoader::load('Rust::Twin', $VERSION);

1;
