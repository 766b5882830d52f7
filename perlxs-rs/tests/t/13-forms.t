# The form that perl has a value in, and perl's own conversions.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use PerlXS::Test qw(form convert);

package Tied { my $reads = 0; sub TIESCALAR { return bless [ $_[1] ] } sub FETCH { $reads++; return $_[0][0] } sub STORE { } sub reads { my $n = $reads; $reads = 0; return $n } }
package Over { use overload '0+' => sub { 42 }, '""' => sub { "\x{20ac}" }, fallback => 0 }
package main;

# ---- forms ----

my $knows = $] >= 5.036;
my ($n, $f, $s) = (17, 0.5, '17');
my @used = ("$n", "$f", $s + 1);
my $true = 1 == 1;
for (
    [ undef,                  'undef' ],
    [ 17,                     'int(17)' ],
    [ -1,                     'int(-1)' ],
    [ ~0,                     'uint(18446744073709551615)' ],
    [ 0.5,                    'float 0.5' ],
    [ 9**9**9,                'float inf' ],
    [ '17',                   'string' ],
    [ '',                     'string' ],
    [ "\x{20ac}",             'string' ],
    [ v1.2,                   'string' ],
    [ [],                     'reference' ],
    [ qr/x/,                  'reference' ],
    [ bless([], 'Over'),      'reference' ],
    [ *STDOUT,                'glob' ],
    [ $true,                  $knows ? 'bool(true)' : 'string' ],
    [ !$true,                 $knows ? 'bool(false)' : 'string' ],
    [ $n,                     $knows ? 'int(17)' : 'string' ],
    [ $f,                     $knows ? 'float 0.5' : 'string' ],
    [ $s,                     'string' ],
) {
    my ($value, $expected) = @$_;
    is form($value), $expected, $expected;
    tie my $tied, 'Tied', $value;
    is form($tied), $expected, 'tied';
    is Tied::reads(), 1, 'is read once';
}
like form(1 == 1), qr/^bool\(true\)$/, 'true itself, on all perls';
like form(1 == 2), qr/^bool\(false\)$/, 'and false';
is form(substr 'abc', 1), 'string', 'a part of a string';
'abc' =~ /(b)/;
is form($1), 'string', 'of a match';
{
    my $float = 1.5;
    my $int = $float | 0;
    is form($float), 'float 1.5', 'a float that has been used as an integer';
}

# ---- conversions, which are perl's ----

my @warnings;
$SIG{__WARN__} = sub { push @warnings, "@_" };
my %perls = (iv => sub { no warnings; use integer; return $_[0] + 0 }, uv => sub { return sprintf '%u', $_[0] }, nv => sub { return unpack 'd', pack 'd', $_[0] }, pv => sub { return '' . $_[0] });
for my $value (0, 1, -1, ~0, 1.5, -1.5, 1e30, -1e30, '12', ' 12 ', "12\n", '-7', '3 apples', 'x', '', '0x10', '1e3', '9223372036854775808', '-9223372036854775809', '99999999999999999999', 'inf', undef) {
    for my $to (sort keys %perls) {
        next if $to =~ /iv|uv/ && ($value // '') =~ /inf/;    # sprintf dies of it
        @warnings = ();
        my $copy   = $value;
        my $wanted = $perls{$to}->($copy);
        my @wanted = map { s/ in .*//sr =~ s/value \$\w+(?:\[\d+\])?/value/r } @warnings;
        @warnings = ();
        my $got = convert($value, $to);
        is $got, $wanted, "$to of " . ($value // 'undef') =~ s/\n/\\n/r;
        next if $to eq 'iv';
        is_deeply [ map { s/ in .*//sr =~ s/value \$\w+(?:\[\d+\])?/value/r } @warnings ], \@wanted, 'and its warnings';
    }
}
@warnings = ();
is convert('x', 'iv'), 0, 'a warning';
like "@warnings", qr/^Argument "x" isn't numeric in subroutine entry at \Q$0\E line \d+\.\n$/, 'in its place';
{
    no warnings;
    @warnings = ();
    convert('x', 'iv'); convert(undef, 'pv');
    is "@warnings", '', 'none where the caller wants none';
    use warnings FATAL => 'all';
    ok !eval { convert('x', 'iv'); 1 }, 'fatal where the caller wants that';
    like $@, qr/isn't numeric/, 'an exception';
}
is convert(bless([], 'Over'), 'iv'), 42, 'overloading: 0+';
is convert(bless([], 'Over'), 'pv'), "\x{20ac}", 'and ""';
is convert("\xe9", 'pv'), "\xe9", 'a character below 256';
like convert([], 'pv'), qr/^ARRAY\(0x/, 'a reference';
tie my $tied, 'Tied', 5;
Tied::reads();
is convert($tied, $_), 5, "tied: $_" for qw(iv uv nv pv);
is Tied::reads(), 4, 'read once each';
{
    my $number = '12';
    convert($number, 'iv');
    is form($number), 'string', 'a string stays one';
}

for my $to (qw(iv pv)) {
    no warnings;
    is leaks { convert($_, $to) for 'x', undef, 5, 1.5, [], $tied }, 0, "leaks: $to";
    is leaks { local $SIG{__WARN__} = sub { die "x\n" }; use warnings; eval { convert('x', $to) } }, 0, 'and a warning that dies';
}
is leaks { form($_) for 'x', undef, 5, [], $tied }, 0, 'form';
is PerlXS::Test::made(), PerlXS::Test::dropped(), 'all is dropped';
done_testing;
