# Many values at a time: walks through arrays and hashes, loops over code, borrowed strings.
use strict;
use warnings;
no warnings qw(exiting once recursion void);
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use List::Util ();
use PerlXS::Test qw(borrowed dropped each_element made map_each numbers reduce test_each walk);

package Doubled { sub TIESCALAR { bless [] } sub FETCH { 21 * 2 } }
package Tied    { require Tie::Array; our @ISA = 'Tie::StdArray'; sub FETCH { $_[0][$_[1]] * 10 } }
package TiedHash { require Tie::Hash; our @ISA = 'Tie::StdHash' }
package Forty   { use overload '0+' => sub { 40 }, fallback => 1 }
package main;

# ---- the numbers of an array ----

is_deeply [ numbers([ 1 .. 1000 ], undef) ], [ 1 .. 1000 ], 'numbers';
tie my $doubled, 'Doubled';
my @mixed = (1, '2', 3.0, 'four', undef, \5, bless([], 'Forty'), '-7', ' 8 ', '1e1', 9_007_199_254_740_993);
$mixed[20] = 21;
is_deeply [ numbers(\@mixed, undef) ], [ 1, 2, 3, undef, undef, undef, 40, -7, 8, 10, 9_007_199_254_740_993, (undef) x 9, 21 ], 'of any kind, and none';
{
    local $mixed[1];
    tie $mixed[1], 'Doubled';
    is_deeply [ (numbers(\@mixed, undef))[ 0 .. 2 ] ], [ 1, 42, 3 ], 'with magic among them';
    untie $mixed[1];
}
tie my @tied, 'Tied';
@tied = 1 .. 100;
is_deeply [ numbers(\@tied, undef) ], [ map { 10 * $_ } 1 .. 100 ], 'of a tied array';
{
    my @array = 1 .. 200;
    my $calls = 0;
    my @got = numbers(\@array, sub { splice @array if ++$calls == 10; 1 });
    is scalar @got, 64, 'of an array that is emptied meanwhile: those that are here';
    @array = 1 .. 10;
    is scalar(() = numbers(\@array, sub { push @array, 1 if @array < 300; 1 })), 300, 'of one that grows';
}
ok !eval { numbers([ 1, bless [], 'NoSuch' ], sub { die "oh\n" }); 1 } && $@ eq "oh\n", 'code that dies meanwhile';

# ---- its elements ----

{
    my @array = (1 .. 150);
    delete $array[70];
    is_deeply [ each_element(\@array, sub { $_[0] // 'none' }) ], [ 1 .. 70, 'none', 72 .. 150 ], 'elements';
    each_element(\@array, sub { $_[0]++ if $_[0]; 1 });
    is "@array[0, 149]", '2 151', 'are not copies';
    my @freed = map { [$_] } 1 .. 70;
    is_deeply [ each_element(\@freed, sub { my $n = $_[0][0]; @freed = () if $n == 3; $n }) ], [ 1 .. 64 ], 'of an array that is emptied meanwhile: counted';
    is_deeply [ each_element(\@tied, sub { "$_[0]" }) ], [ map { 10 * $_ } 1 .. 100 ], 'of a tied one';
}

# ---- a hash ----

{
    my %hash = map { $_ => $_ * 2 } 1 .. 1000;
    is_deeply { walk(\%hash) }, \%hash, 'a walk through a hash';
    is_deeply [ walk({}) ], [], 'through an empty one';
    my %keys = ("\xe9" => 1, "\x{20ac}\x{e9}" => 2, 'a' => 3, '' => 4, 'x' x 5000 => 5, 'y' x 3000 => 6, 'z' x 2048 => 7);
    is_deeply { walk(\%keys) }, \%keys, 'keys of all kinds and lengths';
    tie my %tied_hash, 'TiedHash';
    %tied_hash = %keys;
    is_deeply { walk(\%tied_hash) }, \%keys, 'a tied one';
    my $calls = 0;
    ok !eval { walk(\%hash, sub { keys %hash if ++$calls == 40; 1 }); 1 }, 'one whose iterator is moved meanwhile';
    like $@, qr/^somebody else has moved the iterator of this hash at /, 'is told';
    $calls = 0;
    ok !eval { walk(\%hash, sub { %hash = () if ++$calls == 5; 1 }); 1 }, 'one that is emptied meanwhile';
    like $@, qr/^somebody else has moved the iterator/, 'likewise';
    %hash = map { $_ => 1 } 1 .. 100;
    is scalar(() = each %hash), 2, 'the iterator begins anew afterwards';
}

# ---- loops ----

is_deeply [ test_each(sub { $_ > 3 }, 1 .. 6) ], [ 4, 5, 6 ], 'a loop with $_';
is_deeply [ test_each(sub { 1 }) ], [], 'over nothing';
{
    my @values = 1 .. 3;
    test_each(sub { $_ *= 10 }, @values);
    is "@values", '10 20 30', '$_ is the value itself';
    local $_ = 'mine';
    test_each(sub { $_ = 5 }, my $x = 1);
    is $_, 'mine', 'and what it was afterwards';
    eval { test_each(sub { die "oh $_\n" if $_ == 2; 1 }, 1 .. 3) };
    is "$@$_", "oh 2\nmine", 'after an exception, too';
    is_deeply [ test_each(sub { my @inner = test_each(sub { $_ > 1 }, 1 .. 3); @inner == 2 && $_ }, 0, 7) ], [7], 'a loop within a loop';
    is_deeply [ test_each(sub { undef *_; 1 }, my @list = (1, 2)) ], [ 1, 2 ], 'code that takes $_ away';
    *_ = \my @args;
    $_ = 'mine';
    my $recursive;
    my $depth = 0;
    $recursive = sub { return 1 if ++$depth > 5; return scalar test_each($recursive, 1, 2) };
    is scalar(() = test_each($recursive, 1, 2)), 2, 'a sub that loops over itself';
    is_deeply [ test_each(\&CORE::length, 'a', '') ], ['a'], 'a builtin, which is no perl sub' if eval { \&CORE::length; 0 };
    is_deeply [ test_each(\&List::Util::sum0, 'a', '') ], [], 'an XSUB, without arguments';
    is_deeply [ map_each(sub { $_ * 2 }, 'none', 1 .. 5) ], [ 2, 4, 6, 8, 10 ], 'what it returns';
    is_deeply [ map_each(sub { $_ * 2 }, '6', 1 .. 5) ], [ 2, 4, 6 ], 'until that is enough';
    is_deeply [ map_each(sub { [$_] }, 'none', 1 .. 3) ], [ [1], [2], [3] ], 'references';
    ok !eval { map_each(sub { 'panic' }, 'none', 1); 1 }, 'a panic in a loop';
    like $@, qr/^in a loop at /, 'is a croak';
    ok !eval { map_each(sub { last }, 'none', 1); 1 }, 'last';
    like $@, qr/^Can't "last" outside a loop block/, 'is an error';
    my @with = PerlXS::Test::with_each(sub { [ $_[0], scalar @_ ] }, 1 .. 3);
    is_deeply \@with, [ [ 1, 1 ], [ 2, 1 ], [ 3, 1 ] ], 'arguments';
    @values = 1 .. 3;
    PerlXS::Test::with_each(sub { $_[0]++ }, @values);
    is "@values", '2 3 4', 'are the values themselves';
    is_deeply [ PerlXS::Test::with_each(\&List::Util::sum0, 4, 5) ], [ 4, 5 ], 'of an XSUB';
    ok !eval { PerlXS::Test::with_each(sub { die "oh $_[0]\n" if $_[0] > 1; 1 }, 1 .. 3); 1 }, 'an exception';
    is $@, "oh 2\n", 'as it is';
    is reduce(sub { $a . $b }, 'a' .. 'e'), 'abcde', 'reduce';
    is reduce(sub { $a + $b }, 7), 7, 'one value';
    is reduce(sub { 1 }), undef, 'none';
    is reduce(sub { $b }, map { [$_] } 1 .. 100)->[0], 100, 'of references';
}
is_deeply [ test_each(sub { my ($n) = $_; sub { $n > 1 }->() }, 1 .. 3) ], [ 2, 3 ], 'calls in it';
cmp_ok PerlXS::Test::leaks(sub { test_each(sub { my @x = (1, [$_]); $x[1][0] }, 1 .. 10); map_each(sub { "x$_" }, 'x3', 1 .. 10); reduce(sub { "$a$b" }, 1 .. 10);
    my @n = numbers([ 1 .. 100, 'x' ], undef); my @w = walk({ a => 1, b => [] }); each_element([ 1, [], {} ], sub { 1 }); eval { map_each(sub { die [] }, 'x', 1) } }), '<=', 0, 'nothing is left behind';

# ---- borrowed strings ----

{
    my $refusal = qr/^nothing of perl may run while a string is borrowed$/;
    my $string  = 'some text';
    my $n       = 0;
    my @got     = borrowed($string, $doubled, sub { $n++ });
    is "@got[0, 1]", '9 9', 'a borrowed string';
    like $got[2], $refusal, 'code that would run meanwhile';
    like $got[3], $refusal, 'a tie, too';
    like $got[4], $refusal, 'nothing is assigned';
    is "$string $n", 'some text 1', 'and afterwards code runs again';
    @got = borrowed("\xe9\x{20ac}" =~ s/.$//r, 1, sub { 1 });
    is "@got[0, 1]", '1 7', 'one that perl has in another form is copied: it may be assigned to';
    is $got[2], 'nothing', 'then code may run';
    @got = borrowed(undef, 1, sub { 1 });
    is_deeply [ @got[ 0, 1 ] ], [ undef, undef ], 'undef';
    @got = borrowed(17, 1, sub { 1 });
    is "@got[0, 1]", '2 2', 'a number';
    ok !eval { borrowed("\x{20ac}", 1, sub { 1 }); 1 }, 'a wide character as a byte';
    my $long = 'x' x 5_000_000;
    @got = borrowed($long, 1, sub { 1 });
    is "@got[0, 1]", '5000000 5000000', 'a long one';
}
is made() - dropped(), 0, 'Rust values are dropped';

done_testing;
