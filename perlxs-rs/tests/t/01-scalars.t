# Scalars in and out: plain, magical, tied, overloaded, undef, UTF-8.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use PerlXS::Test qw(number bytes text file_name give set describe flags);

package Counter {
    sub TIESCALAR { my ($class, @values) = @_; return bless { values => \@values, fetched => 0 }, $class }
    sub FETCH { my $self = shift; $self->{fetched}++; return $self->{values}[0] }
    sub STORE { my ($self, $value) = @_; push @{ $self->{stored} }, $value; return }
}

package Dying {
    sub TIESCALAR { return bless [], shift }
    sub FETCH     { die "no fetch\n" }
    sub STORE     { die "no store\n" }
}

package Num { use overload '0+' => sub { $_[0][0] }, fallback => 1 }
package Str { use overload '""' => sub { $_[0][0] }, fallback => 1 }
package DyingNum { use overload '0+' => sub { die { code => 5 } }, '""' => sub { die "no string\n" } }
package Plain { }

package main;

no warnings 'portable';
my @numbers = (
    [ 17,                        'int 17' ],
    [ -1,                        'int -1' ],
    [ 9223372036854775807,       'int 9223372036854775807' ],
    [ 9223372036854775808,       'uint 9223372036854775808' ],
    [ 18446744073709551615,      'uint 18446744073709551615' ],
    [ '17',                      'int 17' ],
    [ " 17\n",                   'int 17' ],
    [ '-17',                     'int -17' ],
    [ '18446744073709551615',    'uint 18446744073709551615' ],
    [ 1.5,                       'float 1.5' ],
    [ '1.5',                     'float 1.5' ],
    [ 3e0,                       'float 3' ],
    [ 1e30,                      'float 1000000000000000000000000000000' ],
    [ 9**9**9,                   'float inf' ],
    [ -9**9**9,                  'float -inf' ],
    [ !!1,                       'int 1' ],
    [ !!0,                       'int 0' ],
    [ undef,                     'undef' ],
    [ '',                        'none' ],
    [ 'abc',                     'none' ],
    [ '17abc',                   'none' ],
    [ '0x11',                    'none' ],
    [ [],                        'none' ],
    [ sub { },                   'none' ],
    [ \*STDOUT,                  'none' ],
    [ *STDOUT,                   'none' ],
    [ qr/1/,                     'none' ],
    [ (bless [], 'Plain'),       'none' ],
    [ (bless [42], 'Num'),       'int 42' ],
    [ (bless ['42'], 'Str'),     'int 42' ],
    [ (bless ['x'], 'Str'),      'none' ],
);
{
    my @warnings;
    local $SIG{__WARN__} = sub { push @warnings, @_ };
    for (@numbers) {
        my ($value, $expected) = @$_;
        # 3e0 may be an integer to some perls; what counts is the value
        my $got = number($value);
        $got =~ s/^int/float/ if $expected eq 'float 3';
        is $got, $expected, 'number: ' . describe($value);
    }
    like number(-sin 9**9**9), qr/^float -?nan$/i, 'number: not a number';
    is_deeply \@warnings, [], 'without a warning';
}
{
    my $string = '007';
    number($string);
    is "$string", '007', 'reading a number leaves the string';
    $! = 2;
    like number($!), qr{^(?:int|float) 2$}, '$! has a number and a text';
    is text($!), "$!", 'and its text';
    '42' =~ /(\d+)/;
    is number($1), 'int 42', '$1';
    is number(substr 'x17', 1), 'int 17', 'substr';
}
{
    tie my $tied, 'Counter', '23';
    is number($tied), 'int 23', 'a tied scalar';
    is tied($tied)->{fetched}, 1, 'is fetched once for a number';
    is text($tied),  '23', 'as text';
    is tied($tied)->{fetched}, 2, 'fetched once more';
    is bytes($tied), '23', 'as bytes';
    set($tied, 9);
    is_deeply tied($tied)->{stored}, [9], 'set stores once';
    set($tied, undef);
    is_deeply tied($tied)->{stored}, [ 9, undef ], 'undef too';
}
{
    my $before = PerlXS::Test::dropped();
    tie my $tied, 'Dying';
    my $died;
    for my $read (\&number, \&text, \&bytes, \&file_name, sub { set($_[0], 1) }) {
        $@ = 'kept';
        ok !eval { $read->($tied); 1 }, 'a tie method that dies';
        like $@, qr/^no (?:fetch|store)\n$/, 'is heard, as it was said';
        $died++;
    }
    my $object = bless [], 'DyingNum';
    ok !eval { number($object); 1 }, 'an overload method that dies';
    is ref $@ && $@->{code}, 5, 'with an object';
    ok !eval { text($object); 1 }, 'the other method';
    is $@, "no string\n", 'with a string';
    is PerlXS::Test::dropped() - $before, $died + 2, 'every Rust value dropped once';
    $@ = 'kept';
    tie my $fine, 'Counter', 1;
    number($fine);
    is $@, 'kept', '$@ is not touched by a call that goes well';
}

is text(undef), undef, 'undef as text';
is bytes(undef), undef, 'undef as bytes';
is text("\x{e9}"),          "\x{e9}",   'Latin-1 as text';
is text("\x{20ac}"),        "\x{20ac}", 'a wide character as text';
is text("a\0b"),            "a\0b",     'NUL';
is text(''),                '',         'the empty string';
is text(*STDOUT),           '*main::STDOUT', 'a glob';
is text(bless ["\x{20ac}"], 'Str'), "\x{20ac}", 'overloaded';
is bytes("\x{e9}"),         "\x{e9}",   'bytes';
{
    my $upgraded = "\x{e9}";
    utf8::upgrade($upgraded);
    is bytes($upgraded), "\x{e9}", 'bytes of an upgraded string';
    ok utf8::is_utf8($upgraded), 'which stays upgraded';
    ok !eval { bytes("\x{20ac}"); 1 }, 'a wide character is no byte';
    like $@, qr/^Wide character/, 'and says so';
}
is text("\x{d800}"), "\x{fffd}" x 3, 'a surrogate is replaced';
{
    # perl itself says what a string is as a file's name
    require File::Temp;
    my $dir = File::Temp::tempdir(CLEANUP => 1);
    my $upgraded = "\xe9";
    utf8::upgrade($upgraded);
    for my $name ('plain', "\xe9", $upgraded, "\x{20ac}\xe9", 17, bless(['overloaded'], 'Str')) {
        my $path = ref $name ? $name : "$dir/$name";
        mkdir ref $name ? "$dir/$name" : $path or die "mkdir: $!";
        opendir my $handle, $dir or die "$dir: $!";
        my ($found) = grep { !/^\./ } readdir $handle;
        is file_name($name), $found, 'the name of a file: ' . describe($name);
        rmdir "$dir/$found" or die "rmdir: $!";
    }
    tie my $tied, 'Counter', 'name';
    is file_name($tied), 'name', 'a tied one';
    is tied($tied)->{fetched}, 1, 'is fetched once';
    is file_name("a\0b"), "a\0b", 'a NUL stays';
    is file_name(''),     '',     'and so does the empty string';
    is file_name($_), undef, 'no name: ' . describe($_) for undef, \1, [], *STDOUT, \*STDOUT, sub { }, bless([], 'Some');
    is file_name(bless [ [] ], 'Str'), undef, 'nor an object that says that it is one of these';
}
{
    no warnings;
    is text("a\x{110000}b"), 'a' . "\x{fffd}" x 4 . 'b', 'so is what Unicode has no room for';
    is text("a\x{fffe}\x{10ffff}"), "a\x{fffe}\x{10ffff}", 'not what it has';
    # flagged by hand: no characters at all
    require Encode;
    my $broken = "a\xffb";
    Encode::_utf8_on($broken);
    is text($broken), "a\x{fffd}b", 'what is not UTF-8 though it says so is replaced';
    ok !eval { bytes($broken); 1 }, 'and is no string of bytes';
    like $@, qr/^Wide character/, 'it says so';
    is leaks { text($broken); eval { bytes($broken) }; text("\xe9"); bytes("\x{e9}\0") }, 0, 'nothing is left behind';
}
is bytes("a\0b\xff"), "a\0b\xff", 'NUL and the last byte';
is bytes(''), '', 'no bytes';
is bytes(17), '17', 'a number as bytes';
is text(1.5), '1.5', 'and as text';

is give('undef'), undef, 'undef out';
is give('int'),   -9223372036854775808, 'the least integer out';
is give('uint'),  18446744073709551615, 'the largest integer out';
is give('float'), 0.5, 'a float out';
is give('bytes'), "\0\xe9x", 'bytes out';
is give('text'),  "\x{e9}\x{20ac}", 'text out';
{
    my $array = [1];
    is give('scalar', $array), $array, 'a reference out';
    my @list = (give('int'), give('uint'));
    is scalar @list, 2, 'one value in list context';
    is_deeply [ map { give('int') } 1 .. 2 ], [ (-9223372036854775808) x 2 ], 'each its own';
}

{
    my @array;
    set($array[3], 'x');
    is $array[3], 'x', 'set an element that was not there';
    my %hash;
    set($hash{a}{b}, 'y');
    is $hash{a}{b}, 'y', 'and one of a hash';
    my $string = 'abc';
    set(substr($string, 1, 1), 'XX');
    is $string, 'aXXc', 'and a substr';
    local $ENV{PERLXS} = 'old';
    set($ENV{PERLXS}, 'new');
    is `echo \$PERLXS`, "new\n", 'set magic runs';
    ok !eval { set(5, 6); 1 }, 'a constant cannot be set';
    like $@, qr/^Modification of a read-only value/, 'and says so';
    is flags(5), 'readonly', 'it says so before';
    is flags(undef), 'readonly undef', 'the constant undef';
    my $undef;
    is flags($undef), '', 'a variable that is undef';
}

is describe(undef),  'undef', 'describe undef';
is describe(17),     '17', 'an integer';
is describe(1.5),    '1.5', 'a float';
is describe("a\"b"), 'the string "a\"b"', 'a string';
is describe("\x{20ac}"), 'the string "\x{20ac}"', 'a wide string';
is describe([]),     'a reference to an ARRAY', 'a reference';
is describe({}),     'a reference to a HASH', 'another';
is describe(bless [], 'Some::Class'), 'an object of class Some::Class', 'an object';
is describe(*STDOUT), 'the glob *main::STDOUT', 'a glob';
cmp_ok length describe('x' x 1000), '<', 100, 'a long string is cut';

done_testing;
