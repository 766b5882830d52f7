# Calls in list context, calls of methods, code on its way to perl, arguments that are optional,
# constants of all kinds.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use IO::File ();
use PerlXS::Test qw(call_list method coderef optional list);

package Magic { our $fetched = 0; sub TIESCALAR { bless [ $_[1] ] } sub FETCH { $fetched++; ref $_[0][0] eq 'CODE' ? $_[0][0]->() : $_[0][0] } }
package Base { sub new { my $class = shift; return bless {@_}, $class } sub name { return 'base' } sub args { shift; return wantarray ? @_ : "@_" } }
package Derived { our @ISA = 'Base'; sub name { my $self = shift; return 'derived ' . $self->SUPER::name } sub dies { die "no method today\n" } sub exits { exit 5 } }
package Auto { our $AUTOLOAD; sub AUTOLOAD { my $self = shift; my $name = $AUTOLOAD =~ s/.*:://r; return if $name eq 'DESTROY'; return "auto $name @_" } }

package main;

# ---- list context ----

is_deeply [ call_list(sub { (@_, wantarray) }, 1, 2) ], [ 1, 2, 1 ], 'all that it returns, in list context';
is_deeply [ call_list(sub { }) ], [], 'nothing';
is_deeply [ call_list(sub { return }) ], [], 'nothing, said';
is_deeply [ call_list(sub { undef }) ], [undef], 'undef';
is_deeply [ call_list(sub { 1 .. 5000 }) ], [ 1 .. 5000 ], 'more than the stack had room for';
is_deeply [ call_list(sub { map { [$_] } 1, 2 }) ], [ [1], [2] ], 'references';
is_deeply [ call_list(\&list, 1, 2) ], [ 1, 2 ], 'an XSUB';
is_deeply [ map { call_list(sub { ($_) x 2 }) } 1, 2 ], [ 1, 1, 2, 2 ], 'in a map';
{
    our @array = (1, 2);
    my @got = call_list(sub : lvalue { @array });
    $_ = 'changed' for @got;
    is_deeply \@array, [ 1, 2 ], 'copies';
    tie my $tied, 'Magic', 'fetched';
    tie my $deep, 'Magic', sub { my @stack = call_list(sub { 1 .. 1000 }); return scalar @stack };
    $Magic::fetched = 0;
    is_deeply [ call_list(sub : lvalue { ($tied, $deep) }) ], [ 'fetched', 1000 ], 'magic, which may move the stack';
    is $Magic::fetched, 2, 'is read once';
    tie my $dying, 'Magic', sub { die "no value\n" };
    is drops { eval { call_list(sub : lvalue { ($tied, $dying) }) } }, 1, 'a value that dies: dropped';
    is $@, "no value\n", 'is heard';
}
is drops { eval { call_list(sub { die "a\n" }) } }, 1, 'a callback that dies: dropped';
is $@, "a\n", 'is heard';
for my $leave (qw(last next), 'goto AFTER') {
    my $turns = 0;
    for (1 .. 2) { $turns++; no warnings 'exiting'; eval { call_list(eval "sub { $leave }") } }
  AFTER:
    is $turns, 2, "$leave does not leave the callback";
}

# ---- methods ----

{
    my $object = method('Derived', 'new', a => 1);
    is ref $object, 'Derived', 'a class method';
    is $object->{a}, 1, 'with arguments';
    is method($object, 'name'), 'derived base', 'a method';
    is method($object, 'args', 1, 2), '1 2', 'in scalar context';
    is_deeply [ method($object, 'args', 1, 2) ], [ 1, 2 ], 'in list context';
    is method($object, 'Base::name'), 'base', 'by its full name';
    is method('Auto', 'any', 1), 'auto any 1', 'AUTOLOAD';
    is method(*STDERR{IO}, 'fileno'), 2, 'of a handle';
    { no strict 'refs'; *{"Derived::m\x{e9}\x{20ac}"} = sub { 'wide' } }
    is method($object, "m\x{e9}\x{20ac}"), 'wide', 'a wide name';
    tie my $tied, 'Magic', $object;
    is method($tied, 'name'), 'derived base', 'of a tied object';
    for (
        [ $object, 'nosuch', qr/^Can't locate object method "nosuch" via package "Derived" at/ ],
        [ 'Nosuch', 'new', qr/^Can't locate object method "new" via package "Nosuch"/ ],
        [ undef, 'new', qr/^Can't call method "new" on an undefined value/ ],
        [ '', 'new', qr/^Can't call method "new" without a package or object reference/ ],
        [ [], 'new', qr/^Can't call method "new" on unblessed reference/ ],
        [ $object, 'dies', qr/^no method today$/ ],
    ) {
        my ($invocant, $name, $error) = @$_;
        is drops { eval { my $x = method($invocant, $name) } }, 1, 'a method that is not there, or dies: dropped';
        like $@, $error, 'is heard';
        is drops { eval { () = method($invocant, $name) } }, 1, 'in list context: dropped';
        like $@, $error, 'is heard';
    }
    my ($output, $status) = child_perl(<<'PERL');
        sub Derived::exits { exit 5 }
        eval { PerlXS::Test::method('Derived', 'exits') };
        print "not reached\n";
        END { print "dropped ", PerlXS::Test::dropped(), "\n" }
PERL
    is $output, "dropped 1\n", 'a method that exits: dropped';
    is $status, 5, 'its status';
}
{
    my $code = sub { 'called' };
    is coderef($code), $code, 'code goes back as a reference to it';
    is coderef('Base::name')->(), 'base', 'by name';
}

# ---- arguments ----

is optional(1), 'default [] of 1', 'an optional argument that is not there';
is optional(1, undef), 'undef [] of 2', 'undef';
is optional(1, 2), '2 [] of 2', 'there';
is optional(1 .. 5), '2 [3 4 5] of 5', 'and the rest';
ok !eval { optional(); 1 }, 'too few';
like $@, qr/^Usage: PerlXS::Test::optional\(first, second, \.\.\.\) at /, 'the usage says';

# ---- constants ----

is PerlXS::Test::LEAST(),   -9223372036854775808, 'a negative constant';
is PerlXS::Test::EURO(),    "\x{20ac}", 'a string';
is PerlXS::Test::NOTHING(), undef, 'undef';
is_deeply PerlXS::Test::PRIMES(), [ 2, 3, 5 ], 'a reference';
is prototype("PerlXS::Test::$_"), '', "$_ has a prototype" for qw(LEAST EURO NOTHING PRIMES);
{
    my ($output) = child_perl(<<'PERL');
        my $before = PerlXS::Test::sv_count();
        for (1 .. 50) { eval { XSLoader::load('PerlXS::Test', '9.99') } }
        my $after = PerlXS::Test::sv_count();
        print $after - $before < 50 ? "none\n" : $after - $before;
PERL
    is $output, "none\n", 'a module that does not load leaves none behind';
}

# ---- leaks ----

is leaks { call_list(sub { ([1], [2]) }); my @l = call_list(sub { ([1], [2]) }) }, 0, 'lists';
is leaks { eval { call_list(sub { die [1] }) }; eval { method('Nosuch', 'new') } }, 0, 'errors';
is leaks { my $o = method('Derived', 'new', a => [1]); my @l = method($o, 'args', [1], [2]); coderef(\&list)->() }, 0, 'methods';
is leaks { optional(1, 2, 3) }, 0, 'arguments';

done_testing;
