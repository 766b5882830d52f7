# Arrays, hashes and references: plain, tied, overloaded, blessed, read-only; keys of bytes and of
# text; what dies and exits meanwhile; nothing left behind.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use POSIX ();
use Hash::Util ();
use Scalar::Util ();
use Tie::Array;
use Tie::Hash;
use PerlXS::Test qw(array hash new_array new_hash nested elements entries referent deref reference ask copy describe);

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);

package TiedArray {
    our @ISA = 'Tie::StdArray';
    our @log;
    for my $method (qw(FETCH STORE FETCHSIZE PUSH POP CLEAR)) {
        no strict 'refs';
        my $std = Tie::StdArray->can($method);
        *$method = sub { push @log, $method; goto &$std };
    }
}

package TiedHash {
    our @ISA = 'Tie::StdHash';
    our @log;
    for my $method (qw(FETCH STORE EXISTS DELETE CLEAR FIRSTKEY NEXTKEY)) {
        no strict 'refs';
        my $std = Tie::StdHash->can($method);
        *$method = sub { push @log, $method; goto &$std };
    }
}

package TiedScalar {
    our $fetched = 0;
    sub TIESCALAR { return bless [ $_[1] ], $_[0] }
    sub FETCH     { $fetched++; return ref $_[0][0] eq 'CODE' ? $_[0][0]->() : $_[0][0] }
}

# Every method of these does what the test says.
package Acting {
    our $act = sub { die "acted\n" };
    sub TIEARRAY { return bless [] } sub TIEHASH { return bless [] } sub TIESCALAR { return bless [] }
    no strict 'refs';
    for my $method (qw(FETCH STORE FETCHSIZE EXTEND PUSH POP CLEAR EXISTS DELETE FIRSTKEY NEXTKEY)) {
        *$method = sub { $act->() };
    }
}

package Over {
    use overload
        '@{}'  => sub { $_[0]->() eq 'die' ? die "no array\n" : [ 'over', 'loaded' ] },
        '%{}'  => sub { $_[0]->() eq 'die' ? die "no hash\n" : { over => 'loaded' } },
        '${}'  => sub { $_[0]->() eq 'die' ? die "no scalar\n" : \'loaded' },
        '""'   => sub { $_[0]->() eq 'die' ? die "no string\n" : 'key' },
        'bool' => sub { $_[0]->() eq 'die' ? die "no bool\n" : 0 };
}

package Freed { our $freed = 0; sub new { return bless [], shift } sub DESTROY { $freed++ } }

package main;

my $over  = bless sub { 'live' }, 'Over';
my $dying = bless sub { 'die' }, 'Over';

# ---- arrays ----

{
    my @array = (1, 'two', undef);
    is array(\@array, 0, 'len'), 3, 'length';
    is array([], 0, 'len'), 0, 'of an empty one';
    ok !array(\@array, 0, 'is_empty'), 'not empty';
    ok array([], 0, 'is_empty'), 'empty';
    is_deeply [ map { array(\@array, $_, 'get') } 0 .. 3 ], [ 1, 'two', undef ], 'elements, and none';
    is_deeply [ array(\@array, -1, 'get') ], [], 'no index from the end';
    is_deeply [ array(\@array, 2**63 - 1, 'get') ], [], 'nor a large one';
    $_ = 'changed' for array(\@array, 1, 'get');
    is $array[1], 'changed', 'the element itself';
    array(\@array, 0, 'set', 'first');
    array(\@array, 5, 'set', [7]);
    is_deeply \@array, [ 'first', 'changed', undef, undef, undef, [7] ], 'set, and set beyond the end';
    is_deeply [ array(\@array, 4, 'get') ], [], 'an element that is not there';
    is scalar(@{ [ array(\@array, 0, 'elements') ] }), 6, 'elements: undef in its place';
    my $value = 'x';
    array(\@array, 0, 'push', $value, $value);
    $array[-1] = 'y';
    is_deeply [ $value, @array[ 6, 7 ] ], [ 'x', 'x', 'y' ], 'push copies';
    is array(\@array, 0, 'pop'), 'y', 'pop';
    is_deeply [ array([], 0, 'pop') ], [], 'of an empty one';
    is array(\@array, 0, 'reference'), \@array, 'a reference to it';
    my $alias = \$array[0];
    array(\@array, 0, 'set', 'aliased');
    is $$alias, 'aliased', 'set assigns to the element that is there';
    array(\@array, 0, 'clear');
    is_deeply \@array, [], 'clear';
    is_deeply [ array([ 1 .. 1000 ], 0, 'elements') ], [ 1 .. 1000 ], 'a thousand';
}
{
    my $list = new_array(1, 'a', undef, [2]);
    is_deeply $list, [ 1, 'a', undef, [2] ], 'a new array';
    is_deeply new_array(), [], 'an empty one';
    is_deeply nested(), {
        list  => [ { n => 1, list => [ 1, 1 ] }, { n => 2, list => [ 2, 2 ] } ],
        true  => 1,
        none  => undef,
        bytes => "\xe9\0",
        self  => 'text',
    }, 'arrays and hashes in each other';
    isnt nested(), nested(), 'each its own';
}
for my $no (undef, 5, 'ISA', {}, \1, sub { }, \*ARGV, qr/x/) {
    ok !eval { array($no, 0, 'len'); 1 }, 'no array: ' . describe($no);
    like $@, qr/^not an array: \Q${\ describe($no)}\E at /, 'is none';
}
is array((bless [ 1, 2 ], 'Some::Class'), 0, 'len'), 2, 'an object that is an array';
is_deeply [ array($over, 0, 'elements') ], [ 'over', 'loaded' ], 'one that overloads @{}';
is drops { eval { array($dying, 0, 'len') } }, 1, 'a @{} that dies: dropped';
is $@, "no array\n", 'is heard';

{
    tie my @tied, 'TiedArray';
    @tied = (1 .. 3);
    my $does = sub { @TiedArray::log = (); my @result = array(\@tied, @_); return [ [@result], @TiedArray::log ] };
    is_deeply $does->(0, 'len'), [ [3], 'FETCHSIZE' ], 'a tied array: length';
    is_deeply $does->(1, 'get'), [ [2], 'FETCH' ], 'get reads when it is read';
    is_deeply $does->(1, 'set', 'x'), [ [undef], 'STORE' ], 'set stores';
    is_deeply $does->(0, 'push', 'y'), [ [undef], 'PUSH' ], 'push';
    is_deeply $does->(0, 'pop'), [ ['y'], 'FETCHSIZE', 'POP' ], 'pop';
    is_deeply $does->(0, 'elements'), [ [ 1, 'x', 3 ], 'FETCHSIZE', ('FETCH') x 3 ], 'elements';
    is_deeply $does->(0, 'clear'), [ [undef], 'CLEAR' ], 'clear';
    tie my $reference, 'TiedScalar', [ 1, 2 ];
    $TiedScalar::fetched = 0;
    is array($reference, 0, 'len'), 2, 'a tied reference';
    is $TiedScalar::fetched, 1, 'is read once';
    tie my $element, 'TiedScalar', 'fetched';
    my @plain;
    array(\@plain, 0, 'push', $element);
    array(\@plain, 1, 'set', $element);
    is_deeply \@plain, [ 'fetched', 'fetched' ], 'tied values';
}
{
    @Freed::Child::ISA = ();
    array(\@Freed::Child::ISA, 0, 'push', 'Freed');
    ok +Freed::Child->can('new'), 'a push on @ISA counts';
    array(\@Freed::Child::ISA, 0, 'pop');
    ok !Freed::Child->can('new'), 'and a pop';
    @Freed::Child::ISA = 'Other';
    array(\@Freed::Child::ISA, 0, 'set', 'Freed');
    ok +Freed::Child->can('new'), 'and an element';
}
{
    my @constant = (1, 2);
    Internals::SvREADONLY(@constant, 1);
    Internals::SvREADONLY($constant[0], 1);
    for ([ 0, 'push', 3 ], [ 0, 'pop' ], [ 0, 'clear' ], [ 2, 'set', 1 ], [ 0, 'set', 1 ]) {
        my @do = @$_;
        is drops { eval { array(\@constant, @do) } }, 1, "$do[1] of a read-only array: dropped";
        like $@, qr/^Modification of a read-only value/, 'is refused';
    }
    is_deeply \@constant, [ 1, 2 ], 'as it was';
}
{
    $Freed::freed = 0;
    my @array = (Freed->new, Freed->new, Freed->new);
    array(\@array, 0, 'pop');
    is $Freed::freed, 1, 'what is popped and let go is freed';
    array(\@array, 0, 'set', 1);
    is $Freed::freed, 2, 'what is set over, too';
    array(\@array, 0, 'clear');
    is $Freed::freed, 3, 'and cleared';
}

# ---- hashes ----

{
    my %hash = (a => 1, b => undef);
    is_deeply [ hash(\%hash, 'a', 'get') ], [1], 'get';
    is_deeply [ hash(\%hash, 'b', 'get') ], [undef], 'undef';
    is_deeply [ hash(\%hash, 'c', 'get') ], [], 'none';
    ok hash(\%hash, 'b', 'contains'), 'contains';
    ok !hash(\%hash, 'c', 'contains'), 'contains not';
    is hash(\%hash, 0, 'len'), keys %hash, 'len';
    is hash({}, 0, 'len'), 0, 'len of none';
    is_deeply [ sort keys %hash ], [ 'a', 'b' ], 'and does not make it';
    $_ = 'changed' for hash(\%hash, 'a', 'get');
    is $hash{a}, 'changed', 'the value itself';
    my $value = 'x';
    hash(\%hash, 'c', 'set', $value);
    $hash{c} .= 'y';
    is $value, 'x', 'set copies';
    is hash(\%hash, 'c', 'delete'), 'xy', 'delete';
    is_deeply [ hash(\%hash, 'c', 'delete') ], [], 'none';
    is_deeply [ sort { $a cmp $b } hash(\%hash, 0, 'keys') ], [ 'a', 'b' ], 'keys';
    is_deeply +{ hash(\%hash, 0, 'entries') }, \%hash, 'entries';
    is hash(\%hash, 0, 'reference'), \%hash, 'a reference to it';
    hash(\%hash, 0, 'clear');
    is_deeply \%hash, {}, 'clear';
    is_deeply [ hash({}, 0, 'keys') ], [], 'no keys';
}
{
    my $made = new_hash(a => 1, b => [2], a => 3);
    is_deeply $made, { a => 3, b => [2] }, 'a new hash; the last of a key stays';
    is_deeply new_hash(), {}, 'an empty one';
    $Freed::freed = 0;
    new_hash(a => Freed->new, a => Freed->new);
    is $Freed::freed, 2, 'and they are freed';
}
{
    my ($bytes, $wide, $upgraded) = ("\xe9", "\x{20ac}", "\xe9");
    utf8::upgrade($upgraded);
    my %hash = ($bytes => 'byte', $wide => 'wide', '' => 'empty', "a\0b" => 'nul', 7 => 'seven');
    is hash(\%hash, $_, 'get'), 'byte', 'a key of bytes, however it is stored' for $bytes, $upgraded;
    is hash(\%hash, $_, 'get text'), 'byte', 'by text' for $bytes, $upgraded;
    is hash(\%hash, $bytes, 'get bytes'), 'byte', 'by bytes';
    is hash(\%hash, $wide, 'get text'), 'wide', 'a wide key';
    is_deeply [ hash(\%hash, do { utf8::encode(my $encoded = $wide); $encoded }, 'get bytes') ], [],
        'whose encoding is another';
    is hash(\%hash, '', 'get text'), 'empty', 'an empty key';
    is hash(\%hash, "a\0b", 'get text'), 'nul', 'one with a NUL';
    is hash(\%hash, 7, 'get int'), 'seven', 'an integer';
    is_deeply +{ hash(\%hash, 0, 'entries') }, \%hash, 'entries with all of them';
    is_deeply +{ map { $_ => 1 } hash(\%hash, 0, 'keys') }, { map { $_ => 1 } keys %hash }, 'keys too';
    is_deeply new_hash(%hash), \%hash, 'a new hash with all of them';
    is_deeply [ grep { utf8::is_utf8($_) && !/[^\xff]/ } keys %{ new_hash($upgraded, 1) } ], [], 'as perl keeps them';
    is hash({ key => 1 }, $over, 'get'), 1, 'an overloaded key';
    is drops { eval { hash({ key => 1 }, $dying, 'get') } }, 1, 'one that dies: dropped';
    is $@, "no string\n", 'is heard';
    tie my $key, 'TiedScalar', 'key';
    $TiedScalar::fetched = 0;
    is hash({ key => 1 }, $key, 'get'), 1, 'a tied key';
    is $TiedScalar::fetched, 1, 'is read once';
    ok exists +{ hash({ "\x{d800}" => 1 }, 0, 'entries') }->{"\x{fffd}" x 3}, 'a surrogate is replaced in an entry';
    is_deeply [ hash({ "\x{d800}" => 1 }, 0, 'keys') ], ["\x{d800}"], 'not in a key';
}
for my $no (undef, 5, 'INC', [], \1, sub { }, \*ARGV, qr/x/) {
    ok !eval { hash($no, 0, 'keys'); 1 }, 'no hash: ' . describe($no);
    like $@, qr/^not a hash: \Q${\ describe($no)}\E at /, 'is none';
}
is hash((bless { a => 1 }, 'Some::Class'), 'a', 'get'), 1, 'an object that is a hash';
is hash($over, 'over', 'get'), 'loaded', 'one that overloads %{}';
is drops { eval { hash($dying, 0, 'keys') } }, 1, 'a %{} that dies: dropped';
is $@, "no hash\n", 'is heard';
{
    tie my %tied, 'TiedHash';
    %tied = (a => 1);
    my $does = sub { @TiedHash::log = (); my @result = hash(\%tied, @_); return [ [@result], @TiedHash::log ] };
    is_deeply $does->('a', 'get'), [ [1], 'FETCH' ], 'a tied hash: get reads when it is read';
    is_deeply $does->('b', 'get'), [ [undef], 'FETCH' ], 'whatever the key';
    is_deeply $does->('b', 'set', 2), [ [undef], 'STORE' ], 'set';
    is_deeply $does->('b', 'contains'), [ [1], 'EXISTS' ], 'contains';
    is_deeply $does->('b', 'delete'), [ [2], 'DELETE' ], 'delete';
    is_deeply $does->(0, 'keys'), [ ['a'], 'FIRSTKEY', 'NEXTKEY' ], 'keys';
    is_deeply $does->(0, 'entries'), [ [ 'a', 1 ], 'FIRSTKEY', 'NEXTKEY', 'FETCH' ], 'entries';
    is_deeply $does->(0, 'clear'), [ [undef], 'CLEAR' ], 'clear';
    local $ENV{PERLXS} = 'old';
    hash(\%ENV, 'PERLXS', 'set', 'new');
    is `echo \$PERLXS`, "new\n", 'a value of %ENV is set';
    hash(\%ENV, 'PERLXS', 'delete');
    is `echo \$PERLXS`, "\n", 'and deleted';
}
{
    Hash::Util::lock_keys(my %locked, qw(a b));
    $locked{a} = 1;
    is hash(\%locked, 'a', 'get'), 1, 'a restricted hash';
    for ([ 'c', 'get' ], [ 'c', 'set', 1 ], [ 'c', 'delete' ]) {
        my @do = @$_;
        is drops { eval { hash(\%locked, @do) } }, 1, "$do[1] of what it refuses: dropped";
        like $@, qr/^Attempt to (?:access|delete) disallowed key 'c'/, 'is refused';
    }
    hash(\%locked, 'b', 'set', 2);
    is $locked{b}, 2, 'what it allows';
    Hash::Util::lock_hash(%locked);
    ok !eval { hash(\%locked, 'b', 'set', 3); 1 }, 'a locked value';
    like $@, qr/^Modification of a read-only value/, 'is refused';
}
{
    my %hash = (a => 1, b => 2, c => 3);
    each %hash;
    hash(\%hash, 0, 'keys');
    my $count = 0;
    $count++ while each %hash;
    is $count, 3, 'keys restarts each';
}

# ---- what dies and exits ----

{
    tie my @array, 'Acting';
    tie my %hash,  'Acting';
    tie my $scalar, 'Acting';
    my @do = (
        [ 'array len',  sub { array(\@array, 0, 'len') } ],
        [ 'array set',  sub { array(\@array, 0, 'set', 1) } ],
        [ 'array push', sub { array(\@array, 0, 'push', 1) } ],
        [ 'array pop',  sub { array(\@array, 0, 'pop') } ],
        [ 'array clear', sub { array(\@array, 0, 'clear') } ],
        [ 'array elements', sub { array(\@array, 0, 'elements') } ],
        [ 'elements',   sub { elements(\@array) } ],
        [ 'hash set',   sub { hash(\%hash, 'a', 'set', 1) } ],
        [ 'hash contains', sub { hash(\%hash, 'a', 'contains') } ],
        [ 'hash delete', sub { hash(\%hash, 'a', 'delete') } ],
        [ 'hash clear', sub { hash(\%hash, 'a', 'clear') } ],
        [ 'hash keys',  sub { hash(\%hash, 'a', 'keys') } ],
        [ 'hash entries', sub { hash(\%hash, 'a', 'entries') } ],
        [ 'entries',    sub { entries(\%hash) } ],
        [ 'array',      sub { array($scalar, 0, 'len') } ],
        [ 'hash',       sub { hash($scalar, 'a', 'keys') } ],
        [ 'a value',    sub { array([], 0, 'push', $scalar) } ],
        [ 'a key',      sub { hash({}, $scalar, 'get') } ],
        [ 'deref',      sub { deref($scalar) } ],
        [ 'ask',        sub { ask($scalar) } ],
    );
    for (@do) {
        my ($name, $code) = @$_;
        is drops { eval { $code->() } }, 1, "$name: a method that dies: dropped";
        is $@, "acted\n", 'is heard';
    }
    is leaks { eval { $_->[1]->() } for @do }, 0, 'nothing is left behind';
    for my $do (
        q{array(\@t, 0, 'push', 1)}, q{array(\@t, 0, 'elements')}, q{hash(\%t, 'a', 'set', 1)}, q{hash(\%t, 'a', 'entries')},
        q{array($t, 0, 'len')}, q{array([$freed], 0, 'pop')}, q{array([bless [], 'F'], 0, 'set', 1)}, q{hash({ a => bless [], 'F' }, 0, 'clear')},
        q{new_hash(a => (bless [], 'F'), a => 1)},
    ) {
        my ($output, $status) = child_perl(<<"PERL");
            package T {
                sub TIEARRAY { bless [] } sub TIEHASH { bless [] } sub TIESCALAR { bless [] }
                no strict 'refs';
                *\$_ = sub { exit 7 } for qw(FETCH STORE FETCHSIZE PUSH FIRSTKEY NEXTKEY);
            }
            package F { sub DESTROY { exit 7 } }
            package PerlXS::Test;
            tie my \@t, 'T'; tie my \%t, 'T'; tie my \$t, 'T';
            eval { sub { my \$freed = bless [], 'F'; $do }->() };
            print "not reached\\n";
PERL
        is $status, 7, "exit in $do";
        is $output, '', 'ends the process';
    }
}

# ---- snapshots ----

{
    my @array = (1, undef, 'x');
    is_deeply [ elements(\@array) ], \@array, 'elements';
    my @hole; $hole[1] = 1;
    is_deeply [ elements(\@hole) ], [ undef, 1 ], 'with a hole';
    $_ = 'changed' for elements(\@array);
    is $array[0], 'changed', 'are the elements';
    is_deeply +{ entries({ a => 1, "\x{e9}" => 2, "\x{20ac}" => undef }) }, { a => 1, "\x{e9}" => 2, "\x{20ac}" => undef }, 'entries';
    is elements($_), 'none', 'no array: ' . describe($_) for undef, 1, {}, \1, sub { }, bless([], 'Some::Class'), $over;
    is entries($_), 'none', 'no hash: ' . describe($_) for undef, 1, [], \1, sub { }, bless({}, 'Some::Class'), $over;
    tie my @tied, 'TiedArray';
    push @tied, 1, 2;
    @TiedArray::log = ();
    is_deeply [ elements(\@tied) ], [ 1, 2 ], 'of a tied array';
    is_deeply \@TiedArray::log, [ 'FETCHSIZE', 'FETCH', 'FETCH' ], 'each read once';
    tie my %tied, 'TiedHash';
    $tied{a} = 1;
    is_deeply [ entries(\%tied) ], [ 'a', 1 ], 'of a tied hash';
    tie my $reference, 'TiedScalar', [ 1, 2 ];
    is_deeply [ elements($reference) ], [ 1, 2 ], 'of a tied reference';
    # the tie method lets go of the array
    { package Letting; sub TIEARRAY { bless [] } sub FETCHSIZE { undef $main::letting; 2 } sub FETCH { "e$_[1]" } }
    our $letting = [];
    tie @$letting, 'Letting';
    is_deeply [ eval { elements($letting) } ], [ 'e0', 'e1' ], 'of an array that its tie method lets go of';
}

# ---- references ----

{
    my ($x, @array, %hash) = 'x';
    ok referent(\$x, 'set'), 'a reference to a scalar';
    is $x, 'set', 'is followed';
    ok !referent($_, 1), 'not: ' . describe($_) for undef, 1, 'x', \@array, \%hash, sub { }, \\1, bless(\(my $o = 1), 'Some::Class');
    ok referent(\$array[1], 'new'), 'a reference to an element';
    is $array[1], 'new', 'that is made';

    is deref(\$x), 'set', 'a scalar behind a reference';
    $_ = 'alias' for deref(\$x);
    is $x, 'alias', 'itself';
    is ${ deref(\\$x) }, 'alias', 'a reference behind one';
    is deref(bless \(my $y = 'y'), 'Some::Class'), 'y', 'an object';
    is deref($over), 'loaded', 'one that overloads ${}';
    is_deeply [ deref($_) ], [], 'none: ' . describe($_) for undef, 1, 'x', [], {}, sub { }, \*STDOUT, qr/x/;
    is drops { eval { deref($dying) } }, 1, 'a ${} that dies: dropped';
    is $@, "no scalar\n", 'is heard';

    is reference($x), \$x, 'a reference to an argument';
    is ${ reference(5) }, 5, 'to a constant';
    my $weak = reference(my $gone = [1]);
    Scalar::Util::weaken($$weak);
    undef $gone;
    ok 1, 'a weak one';
}
{
    my $glob = *STDOUT;
    open my $handle, '<', '/dev/null' or die $!;
    for (
        [ undef,   undef, undef, '', '' ],
        [ '',      undef, undef, 1,  '' ],
        [ 0,       undef, undef, 1,  '' ],
        [ '0.0',   undef, undef, 1,  1 ],
        [ $glob,   undef, undef, 1,  1 ],
        [ \1,      'Scalar', undef, 1, 1 ],
        [ \\1,     'Scalar', undef, 1, 1 ],
        [ \substr('abc', 1), 'Scalar', undef, 1, 1 ],
        [ \v1.2,   'Scalar', undef, 1, 1 ],
        [ [],      'Array', undef, 1, 1 ],
        [ {},      'Hash',  undef, 1, 1 ],
        [ sub { }, 'Code',  undef, 1, 1 ],
        [ \*STDOUT, 'Glob', undef, 1, 1 ],
        [ \$glob,  'Glob',  undef, 1, 1 ],
        [ $handle, 'Glob',  undef, 1, 1 ],
        [ *STDOUT{IO}, 'Other', 'IO::File', 1, 1 ],
        [ qr/x/,   'Other', 'Regexp', 1, 1 ],
        [ (bless [], 'Some::Class'), 'Array', 'Some::Class', 1, 1 ],
        [ (bless {}, "Cl\x{20ac}ss"), 'Hash', "Cl\x{20ac}ss", 1, 1 ],
        [ $over,   'Code', 'Over', 1, '' ],
    ) {
        my ($value, @expected) = @$_;
        is_deeply [ ask($value) ], \@expected, 'what is ' . describe($value);
        tie my $tied, 'TiedScalar', $value;
        is_deeply [ ask($tied) ], \@expected, 'tied' if ref $value ne 'CODE';
    }
    is drops { eval { ask($dying) } }, 1, 'a bool that dies: dropped';
    is $@, "no bool\n", 'is heard';
    tie my $tied, 'TiedScalar', 1;
    $TiedScalar::fetched = 0;
    ask($tied);
    is $TiedScalar::fetched, 4, 'each question reads once';
}

# ---- leaks ----

{
    my ($array, $hash) = ([ 1 .. 3 ], { a => 1, "\x{20ac}" => 2 });
    tie my @tied, 'Tie::StdArray';
    tie my %tied, 'Tie::StdHash';
    $tied{a} = [1];
    for my $in ($array, \@tied) {
        is leaks { array($in, 0, 'push', [1]); array($in, 0, 'get'); array($in, 0, 'set', {}); array($in, 0, 'pop'); () = array($in, 0, 'elements') }, 0, 'arrays';
    }
    for my $in ($hash, \%tied) {
        is leaks { hash($in, 'b', 'set', [1]); hash($in, 'b', 'get'); hash($in, 'b', 'contains'); hash($in, 'b', 'delete'); () = hash($in, 0, 'keys'); () = hash($in, 0, 'entries') }, 0, 'hashes';
    }
    is leaks { nested(); new_array([1], [2]); new_hash(a => [1], a => [2], b => {}) }, 0, 'new ones';
    is leaks { () = elements($array); () = entries($hash); referent(\my $x, [1]); deref(\\1); reference($array); ask($array); ask(bless [], 'C') }, 0, 'the rest';
    is leaks { eval { array($dying, 0, 'len') }; eval { hash({}, $dying, 'get') }; eval { array(\@{[]}, 0, 'nosuch') } }, 0, 'and errors';
    is Internals::SvREFCNT(@$array), 1, 'references are given back';
}

# ---- shift, splice and their like ----

{
    my @array = (1 .. 5);
    is array(\@array, 0, 'shift'), 1, 'shift';
    array(\@array, 0, 'unshift', 'one');
    is "@array", 'one 2 3 4 5', 'unshift';
    is_deeply [ array(\@array, 1, 'splice', 2, 'a', 'b', 'c') ], [ 2, 3 ], 'splice: what was there';
    is "@array", 'one a b c 4 5', 'more in its place';
    is_deeply [ array(\@array, 1, 'splice', 4) ], [qw(a b c 4)], 'splice without values';
    is "@array", 'one 5', 'removes';
    is_deeply [ array(\@array, 10, 'splice', 10, 'end') ], [], 'beyond the end';
    is "@array", 'one 5 end', 'appends';
    is_deeply [ array(\@array, 1, 'splice', 10) ], [ 5, 'end' ], 'more than there are';
    push @array, 2 .. 100;
    is "@array[0, 1, 99]", 'one 2 100', 'the array is sound';
    my $got = join ' ', sub { array(\@_, 1, 'splice', 1, 'x', 'y'); "@_" }->(1, 2, 3);
    is $got, '1 x y 3', 'splice of @_';
    my $empty = [];
    is_deeply [ array($empty, 0, 'splice', 0, 1, 2), @$empty ], [ 1, 2 ], 'into an empty one';
    is array([], 0, 'shift'), undef, 'shift of none';
    my @holes;
    $holes[3] = 'x';
    ok !array(\@holes, 1, 'exists'), 'exists not';
    ok array(\@holes, 3, 'exists'), 'exists';
    ok !array(\@holes, 4, 'exists'), 'nor beyond the end';
    is_deeply [ array(\@holes, 0, 'splice', 2) ], [ undef, undef ], 'holes are undef';
    is array(\@holes, 1, 'delete'), 'x', 'delete';
    is array(\@holes, 7, 'delete'), undef, 'of none';
    $holes[2] = 'x';
    Internals::SvREADONLY(@holes, 1);
    for my $change ([ 0, 'splice', 0, 1 ], [ 0, 'shift' ], [ 0, 'unshift', 1 ], [ 0, 'delete' ]) {
        ok !eval { array(\@holes, @$change); 1 } && $@ =~ /^Modification of a read-only value/, "read-only: $change->[1]";
    }
    Internals::SvREADONLY(@holes, 0);
    require Tie::Array;
    tie my @tied, 'Tie::StdArray';
    @tied = 1 .. 4;
    is_deeply [ array(\@tied, 1, 'splice', 2, 'x') ], [ 2, 3 ], 'splice of a tied one';
    array(\@tied, 0, 'unshift', 0);
    is "@tied", '0 1 x 4', 'changes it';
    is array(\@tied, 0, 'shift'), 0, 'shift of a tied one';
    ok array(\@tied, 1, 'exists'), 'exists in a tied one';
    my $freed = 0;
    package Spliced { sub DESTROY { $freed++ } }
    my @objects = map { bless [], 'Spliced' } 1 .. 3;
    array(\@objects, 0, 'splice', 2, 1);
    is $freed, 2, 'what is removed is freed';
}

# ---- names ----

our ($named, @named, %named) = ('scalar');
@named = (1, 2);
%named = (a => 1);
sub named_sub { return 'called' }
is ${ PerlXS::Test::named('main::named', '$') }, 'scalar', 'a scalar by its name';
is PerlXS::Test::named('main::named', '@'), \@named, 'an array';
is PerlXS::Test::named('main::named', '%'), \%named, 'a hash';
is PerlXS::Test::named('main::named_sub', '&'), 'called', 'a sub';
is PerlXS::Test::named('main::no_such_sub', '&'), undef, 'no sub';
sub only_declared;
is PerlXS::Test::named('main::only_declared', '&'), undef, 'nor one without a body';
push @{ PerlXS::Test::named('Made::here', '@') }, 7;
{ no warnings 'once'; is_deeply \@Made::here, [7], 'a new one' }

# ---- programs, warnings ----

is PerlXS::Test::eval_text('my @x = (1, 2); 40 + @x'), 42, 'eval';
is PerlXS::Test::eval_text("'\x{20ac}' . length '\x{20ac}'"), "\x{20ac}1", 'of characters';
is PerlXS::Test::eval_text('__PACKAGE__'), 'main', 'in the package of the caller';
is PerlXS::Test::eval_text(''), undef, 'of nothing';
ok !eval { PerlXS::Test::eval_text('1 +'); 1 } && $@ =~ /^syntax error/, 'that does not compile';
ok !eval { PerlXS::Test::eval_text('die { code => 7 }'); 1 } && $@->{code} == 7, 'that dies';
{
    my @warnings;
    local $SIG{__WARN__} = sub { push @warnings, @_ };
    PerlXS::Test::warns("with a newline\n");
    PerlXS::Test::warns("\x{20ac}");
    is $warnings[0], "with a newline\n", 'warn';
    like $warnings[1], qr/^\x{20ac} at \Q$0\E line \d+\.$/, 'with the place';
    @warnings = ();
    { use warnings; PerlXS::Test::warns("on\n", 'void') }
    { no warnings 'void'; PerlXS::Test::warns("off\n", 'void') }
    { use warnings; no warnings 'void'; PerlXS::Test::warns("another\n", 'misc') }
    is "@warnings", "on\n another\n", 'of a category, where that is on';
    ok !eval { use warnings FATAL => 'void'; PerlXS::Test::warns("fatal\n", 'void'); 1 } && $@ eq "fatal\n", 'fatal';
    ok !eval { PerlXS::Test::warns('text', 'nosuch'); 1 } && $@ =~ /^'nosuch' is no category of perl's warnings at /, 'none';
    package Registers { require warnings::register; warnings::register->import; }
    ok !eval { PerlXS::Test::warns('text', 'Registers'); 1 } && $@ =~ /^'Registers' is no category/, "a module's";
}

# ---- bless, weaken ----

is ref PerlXS::Test::blessed_into({}, 'Some::Class'), 'Some::Class', 'bless';
is ref PerlXS::Test::blessed_into((bless [], 'Old'), "New\x{e9}"), "New\x{e9}", 'anew';
ok !eval { PerlXS::Test::blessed_into('text', 'Class'); 1 } && $@ =~ /^Can't bless non-reference value at /, 'no reference';
ok !eval { PerlXS::Test::blessed_into([], undef); 1 } && $@ =~ /^bless needs the name of a class at /, 'no class';
ok !eval { PerlXS::Test::blessed_into([], []); 1 } && $@ =~ /^Attempt to bless into a reference at /, 'a reference for a class';
{
    my $strong = [7];
    my $weak = $strong;
    is_deeply [ PerlXS::Test::weakened($weak) ], [ '', 1 ], 'weaken';
    is_deeply [ PerlXS::Test::weakened($weak) ], [ 1, 1 ], 'once more';
    is $weak->[0], 7, 'it refers to the same';
    undef $strong;
    is $weak, undef, 'until that is gone';
    ok !eval { PerlXS::Test::weakened(my $text = 'text'); 1 } && $@ =~ /^Can't weaken a nonreference at /, 'no reference';
}

# ---- a queue ----

{
    my $fd = PerlXS::Test::queue(1, 2, 'die', 3, 'panic', 4);
    my $readable = sub { vec(my $set = '', $fd, 1) = 1; return scalar select $set, undef, undef, 0 };
    is $readable->(), 1, 'the queue is readable';
    ok !eval { PerlXS::Test::drain(); 1 } && $@ eq "a job\n", 'a job that fails';
    is_deeply \@PerlXS::Test::queued, [ 1, 2 ], 'after those before it';
    is $readable->(), 1, 'there are more';
    ok !eval { PerlXS::Test::drain(); 1 } && $@ =~ /^a job at /, 'one that panics';
    is PerlXS::Test::drain(), 1, 'the rest';
    is_deeply \@PerlXS::Test::queued, [ 1 .. 4 ], 'in their order';
    is $readable->(), 0, 'no more';
    is PerlXS::Test::drain(), 0, 'none';
    ok PerlXS::Test::drop_queue(), 'what comes too late is refused';
    ok !defined POSIX::dup($fd) && $! == POSIX::EBADF(), 'its descriptor is closed';
    PerlXS::Test::queue(1 .. 3);
    ok PerlXS::Test::drop_queue(), 'what is left is dropped';
}

done_testing;
