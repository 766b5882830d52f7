package Hello;

use strict;
use warnings;

use Exporter 'import';
use XSLoader;

our $VERSION   = '0.01';
our @EXPORT_OK = qw(greet greet_with cheer MAX_CHEERS);

XSLoader::load('Hello', $VERSION);

1;

__END__

=encoding utf8

=head1 NAME

Hello - greetings from Rust

=head1 SYNOPSIS

    use Hello qw(greet greet_with cheer MAX_CHEERS);

    print greet('Larry');                      # Hello, Larry!
    print greet(undef);                        # Hello, world!
    print greet_with { uc $_[0] } 'Larry';     # Hello, LARRY!
    print cheer(2);                            # Hooray! Hooray!

=head1 DESCRIPTION

A small distribution whose XS is a Rust crate on perlxs: the four things that most modules need.
Nothing is exported by default.

=head2 greet($name)

Returns a greeting for C<$name>, for the world if it is undef.

=head2 greet_with($code, $name)

Calls C<$code> with C<$name>, in scalar context, and greets what it returns. C<$code> may be a
block. What it throws goes to the caller. Dies if it is no code.

=head2 cheer($times)

Returns that many cheers. Dies unless C<$times> is an integer from 1 to C<MAX_CHEERS>.

=head2 MAX_CHEERS

The most cheers to be had at once, 10.

=head1 LICENSE

The same terms as Perl itself.

=cut
