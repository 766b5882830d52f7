# Many values at a time: walks through arrays and hashes, loops over code, borrowed strings.
use strict;
use warnings;
no warnings qw(exiting once recursion void);
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use List::Util ();
use PerlXS::Test qw(borrowed count dropped each_element hash made map_each new_hash numbers panic_twice reduce seen_each test_each walk walk_on);

package Doubled { sub TIESCALAR { bless [] } sub FETCH { 21 * 2 } }
package Tied    { require Tie::Array; our @ISA = 'Tie::StdArray'; sub FETCH { $_[0][$_[1]] * 10 } }
package TiedHash { require Tie::Hash; our @ISA = 'Tie::StdHash' }
package Ends    { our $ended = 0; sub DESTROY { $ended++; return } }
package Dies    { sub DESTROY { die 'in DESTROY' } }
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
    my %left = %hash;
    {
        # a key that is stored meanwhile: perl warns, if it has been built to
        my $warned = '';
        local $SIG{__WARN__} = sub { $warned = "@_"; die "a warning\n" };
        my $walked = eval { walk(\%left, sub { $left{"new $calls"} = 1 if ++$calls < 40; 1 }); 1 };
        is $walked ? '' : $@, $warned ? "a warning\n" : '', 'one that grows meanwhile';
    }
    is hash(\%left, 0, 'len'), keys %left, 'len';
    tie my %tied_len, 'TiedHash';
    %tied_len = (a => 1, b => 2);
    is hash(\%tied_len, 0, 'len'), 2, 'len of a tied one';
    is scalar(() = each %hash), 2, 'the iterator begins anew afterwards';
}

{
    my $hash = new_hash(map { ("key " . $_ % 100, bless [$_], 'Ends') } 1 .. 300);
    is keys %$hash, 100, 'a new hash of values with destructors: of the same keys';
    is $Ends::ended, 200, 'those before the last are freed';
    is $hash->{'key 7'}[0], 207, 'which is there';
    undef $hash;
    is $Ends::ended, 300, 'and freed once';
    ok eval { local $SIG{__WARN__} = sub { }; new_hash(map { (a => bless [], 'Dies') } 1 .. 2); 1 }, 'destructors that die';
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

# ---- code that takes away what a loop stands on ----

{
    my %hash = map { $_ => "value $_" } 1 .. 3;
    is_deeply [ seen_each(sub { $hash{$_} }, sub { %hash = () if keys %hash; my @other = map { "other $_" } 1 .. 50; 1 }, 1 .. 3) ],
        [ 'value 1', undef, undef ], 'a result that is freed before it is read';
    my $n = 40;
    my %many = map { $_ => "value $_" } 1 .. $n;
    my @got = walk(\%many, sub { delete @many{ 1 .. $n } });
    is scalar(grep { !defined } @got), 0, 'a hash that is emptied, key by key, meanwhile: no entry without a value';
    {
        package Ends { our @ISA = 'TiedHash'; my $n = 0; sub NEXTKEY { die "end\n" if ++$n == 3; $_[0]->SUPER::NEXTKEY } }
        tie my %ends, 'Ends';
        @ends{ 1 .. 6 } = ();
        is_deeply [ walk_on(\%ends) ], ['error'], 'after an error there is no more';
    }
    is_deeply [ map_each(sub { undef *_; $_ }, 'z', 1 .. 3) ], [ (undef) x 3 ], '*_ that is undefined in a loop';
    is_deeply [ map_each(sub { *_ = *other; 1 }, 'z', 1 .. 3) ], [ (1) x 3 ], 'or assigned';
    {
        package Pairs;
        Test::More::is PerlXS::Test::reduce(sub { undef *a; undef *b; 1 }, 1 .. 5), 1, 'so are *a and *b';
        Test::More::is PerlXS::Test::reduce(sub { delete @Pairs::{qw(a b)}; 1 }, 1 .. 50), 1, 'that are taken out of the symbol table';
        Test::More::is PerlXS::Test::reduce(sub { undef %Pairs::; 1 }, 1 .. 50), 1, 'with all of it';
    }
    my $gone = eval q{package Gone; sub { PerlXS::Test::reduce(sub { 1 }, 1 .. 5) }};
    delete $main::{'Gone::'};
    ok eval { $gone->(); 1 } || $@ =~ /the package is gone/, 'in a package that is gone';
    my $prototype;
    sub MODIFY_CODE_ATTRIBUTES { $prototype = $_[1]; return }
    eval q{sub { my $x = shift; my $closure = sub : Given { $x . $_ }; $closure }->(4); 1} or die;
    ok !eval { map_each($prototype, 'z', 1 .. 3); 1 } && $@ =~ /^Closure prototype called/, 'a closure that has no variables yet';
    is scalar(my @sorted = reverse sort count 3, 1, 2), 3, 'an XSUB that perl\'s sort calls, in reverse';
    ok !eval { panic_twice(); 1 } && $@ =~ /^panic at/, 'a panic with what panics when it is dropped';
}

# ---- borrowed strings ----

package Holder { sub TIESCALAR { bless \my $x } sub FETCH { 'tied' } sub STORE { } }
package Texts  { use overload '""' => sub { 'overloaded' } }
package main;
for my $how (qw(bytes text)) {
    my $nothing = sub { 1 };
    for my $string (my @strings = ('some text', 'x' x 100_000, '', "a\0b", 17, 1.5, !!1, __PACKAGE__, substr('constant', 2), "\xe9", "\xe9\x{20ac}" =~ s/.$//r, bless [], 'Texts')) {
        my $copy = $string;
        my $name = length "$copy" > 20 ? 'a long one' : "'$copy'" =~ tr/\0-\x1f\x7f-\x{ffff}/?/r;
        is borrowed($string, $how, undef, $nothing), "$copy", "$how: $name";
        is borrowed($string, $how, undef, sub { $string = 'y' x 200_000; 1 }), "$copy", 'perl code changes it: it stays';
        $string = $copy;
        is borrowed($string, $how, 'another', $nothing), "$copy", 'Rust assigns to it: likewise';
        is $string, 'another', 'and that is done' if !ref \$string;
    }
    is borrowed(undef, $how, undef, $nothing), undef, "$how: undef";
    my $chopped = 'x' x 20 . 'rest';
    $chopped =~ s/^x+//;
    is borrowed($chopped, $how, undef, sub { $chopped =~ s/^r//; $chopped .= 'more' x 50; 1 }), 'rest', 'one whose start is cut off';
    is substr($chopped, 0, 7), 'estmore', 'goes on as it was';
    my %hash = (key => 1);
    my ($key) = keys %hash;
    is borrowed($key, $how, undef, sub { $key .= 'x'; %hash = (); 1 }), 'key', 'the key of a hash';
    my $one = 'shared' x 300;
    my @many = ($one) x 300;
    is borrowed($one, $how, undef, sub { @many = (); $one = 'new'; 1 }), 'shared' x 300, 'one that many scalars share';
    tie my $tied, 'Holder';
    is borrowed($tied, $how, undef, sub { untie $tied; $tied = 'not'; 1 }), 'tied', 'a tied one';
    my @array = ('element of it');
    is borrowed($array[0], $how, undef, sub { @array = (); 1 }), 'element of it', 'an element that is freed';
    $_ = 'subject' x 5;
    my @got;
    s/sub/push @got, borrowed($_, $how, undef, sub { $_ = 'gone'; 1 }); 'SUB'/ge;
    is $got[0], 'subject' x 5, 'the subject of a substitution';
    my $deep = 'deep';
    is borrowed($deep, $how, undef, sub { $deep .= borrowed($deep, $how, undef, sub { $deep .= '!'; 1 }); 1 }), 'deep', 'borrowed within';
    is $deep, 'deep!deep', 'in its order';
    ok !eval { borrowed(my $x = 'x', $how, undef, sub { die "oh\n" }); 1 }, 'code that dies';
    borrowed($deep, 'forgotten', undef, $nothing) for 1 .. 20;
    $deep = 'changed';
    is borrowed($deep, $how, undef, sub { $deep = 5; 1 }), 'changed', 'after some that Rust forgot';
}
ok !eval { borrowed("\x{20ac}", 'bytes', undef, sub { 1 }); 1 }, 'a wide character as a byte';
cmp_ok PerlXS::Test::leaks(sub { my $x = 'x' x 3000; borrowed($x, 'bytes', undef, sub { $x = 'y'; 1 }) }), '<=', 0, 'nothing of them is left behind';
is made() - dropped(), 0, 'Rust values are dropped';

done_testing;
