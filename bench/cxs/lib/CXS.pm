package CXS;

# lib/Linux/Clone.pm with another name, so that loading either compiles the same Perl. Change
# both or neither.

use strict;
use warnings;

our $VERSION = '0.100';

require XSLoader;
XSLoader::load('CXS', $VERSION);

# Nothing by default. The constants are exported under their names in clone(2).
our @EXPORT_OK   = (qw(clone unshare), grep { /^(?:CLONE_|CSIGNAL$)/ } keys %CXS::);
our %EXPORT_TAGS = (flags => [ grep { /^C[A-Z]/ } @EXPORT_OK ]);

sub import {
    return if @_ == 1;
    require Exporter;
    goto &Exporter::import;
}

1;
