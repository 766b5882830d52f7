package CXS;

# lib/Linux/Clone.pm with another name, so that loading either compiles the same Perl. Change
# both or neither.

use strict;
use warnings;

our $VERSION = '0.100';

require XSLoader;
XSLoader::load('CXS', $VERSION);

# Nothing by default. The constants are exported under their names in the manual pages of Linux.
our %EXPORT_TAGS = (
    flags => [ grep { /^(?:CLONE_|CSIGNAL$)/ } keys %CXS:: ],
    wait  => [ grep { /^(?:P_|W[A-Z]|__W|CLD_|PIDFD_)/ } keys %CXS:: ],
    kcmp  => [ grep { /^KCMP_/ } keys %CXS:: ],
    ns    => [ grep { /^NS_/ } keys %CXS:: ],
    net   => [ grep { /^IFF_/ } keys %CXS:: ],
);
our @EXPORT_OK = (qw(clone unshare), map { @$_ } values %EXPORT_TAGS);

sub import {
    return if @_ == 1;
    require Exporter;
    goto &Exporter::import;
}

1;
