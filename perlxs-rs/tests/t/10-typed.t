# Functions that are declared with their types: arguments, results, classes, closures.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Config;
use DynaLoader ();
use PerlXS::Test qw(uneven);

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);

my $package = 'PerlXS::Test::Typed';

sub call { no strict 'refs'; my $name = shift; return &{"${package}::$name"}(@_) }
sub dies { my ($name, @args) = @_; return eval { call($name, @args); 1 } ? 'lives' : $@ =~ s/ at \S+ line \d+\.\n\z//r }

# ---- strings are lent ----

{
    my ($text, $bytes) = ("\xe9" . 'x' x 100, 'y' x 100);
    my @before = ($text, $bytes);
    is_deeply [ call('kept', $text, $bytes, sub { $text = 'z' x 1000; undef $bytes; substr $_, 0, 1, 'q' for @_; 1 }) ], \@before, 'strings that the caller changes meanwhile';
    is_deeply [ $text, $bytes ], [ 'z' x 1000, undef ], 'have changed there';
    utf8::upgrade(my $wide = "\xe9\xea");
    is_deeply [ call('kept', 17, $wide, sub { $wide = ''; 1 }) ], [ 17, "\xe9\xea" ], 'a number, and bytes that perl has as UTF-8';
    is dies('kept', [], '', sub { }), 'text must be a string, not a reference to an ARRAY', 'a reference';
    is dies('kept', '', "\x{20ac}", sub { }), 'Wide character in a string of bytes', 'no bytes';
    my $peak = sub { open my $fh, '<', '/proc/self/status' or die $!; return (map { /^VmPeak:\s+(\d+)/ } <$fh>)[0] };
    open my $zero, '<', '/dev/zero' or die $!;
    my $large;
    sysread $zero, $large, 50_000_000;
    my $before = $peak->();
    is call('text_len', $large), 50_000_000, 'a long string';
    cmp_ok $peak->() - $before, '<', 10_000, 'of which there is no copy';
}

# ---- what comes in goes out ----

my %lives = (
    i8     => [ -128, 127, '7' ],
    i16    => [ -32768, 32767 ],
    i32    => [ -2147483648, 2147483647 ],
    i64    => [ -9223372036854775807, 9223372036854775807 ],
    isize  => [-1],
    u8     => [ 0, 255 ],
    u16    => [65535],
    u32    => [4294967295],
    u64    => [ 0, 18446744073709551615, '18446744073709551615' ],
    usize  => [18446744073709551615],
    f32    => [0.5],
    f64    => [ 0.1, -1, '1.5', 9**9**9 ],
    char   => [ 'a', "\x{20ac}", "\xe9" ],
    string => [ '', 'a', "\xe9", "\x{20ac}", 17 ],
    bytes  => [ '', "a\0\xff" ],
    path   => ['/dev/null'],
    maybe  => [ 1, undef ],
    floats => [ [], [ 1, 2.5 ] ],
    holes  => [ [ 1, undef, 3 ] ],
    three  => [ [ 1, 2, 3 ] ],
    map    => [ {}, { a => 1, "\x{20ac}" => -2 } ],
    tree   => [ { 7 => [ 'a', 'b' ], 300 => [] } ],
    scalar => [ undef, 'a' ],
    array  => [ [ 1, [2] ] ],
    hash   => [ { a => [] } ],
    pairs  => [ [ [ 'a', 1 ], [ 'b', 2 ] ] ],
);
for my $type (sort keys %lives) {
    for my $value (@{ $lives{$type} }) {
        is_deeply([ call($type, $value) ], [$value], "$type: " . (defined $value ? $value : 'undef'));
    }
}
is(call('i8', '1e2') . call('u8', 7.0), '1007', 'an integer however it is written');
is(call('f64', ~0), 18446744073709551615.0, 'a large one as a float');
is(call('bool', '0.0'), 1, 'bool');
is(call('bool', undef), '', 'undef is false');
my $code = sub {1};
is(call('code', $code), $code, 'code');

my %refused = (
    i8     => [ 128, -129, 1.5, 'x', undef, [] ],
    i64    => [ 9223372036854775808, '1x', '' ],
    u8     => [ 256, -1 ],
    u64    => [ -1, 1e30, 'x' ],
    f64    => [ 'x', undef, {} ],
    char   => [ '', 'ab', undef ],
    string => [ undef, [], \*STDOUT, *STDOUT, \1 ],
    bytes  => [ undef, [] ],
    path   => [ undef, [] ],
    maybe  => ['x'],
    floats => [ 1, undef, {}, 'x' ],
    map    => [ 1, undef, [] ],
    array  => [ 1, {} ],
    hash   => [ 1, [] ],
    code   => [ 1, undef, [] ],
);
my %wanted = (
    i8 => 'an integer (i8)', i64 => 'an integer (i64)', u8 => 'an integer (u8)', u64 => 'an integer (u64)', maybe => 'an integer (i64)',
    f64 => 'a number', char => 'one character', string => 'a string', bytes => 'a string of bytes', path => 'the name of a file',
    floats => 'a reference to an array', array => 'a reference to an array', map => 'a reference to a hash', hash => 'a reference to a hash',
    code => 'code',
);
for my $type (sort keys %refused) {
    for my $value (@{ $refused{$type} }) {
        like(dies($type, $value), qr/^value must be \Q$wanted{$type}\E, not ./, "$type: " . (defined $value ? $value : 'undef'));
    }
}
is(dies('add', 1, 'x'), 'b must be an integer (i64), not the string "x"', 'the message names the argument');
eval { PerlXS::Test::Typed::add(1, 'x') };
like($@, qr/ at \Q$0\E line ${\ (__LINE__ - 1)}\.$/, 'and the line of the call');
is(dies('bytes', "\x{20ac}"), 'Wide character in a string of bytes', 'a wide character');
is(dies('floats', [ 1, 'x' ]), 'value[1] must be a number, not the string "x"', 'an element');
is(dies('map', { a => [] }), 'value{a} must be an integer (i64), not a reference to an ARRAY', 'a value of a hash');
is(dies('tree', { x => [] }), 'a key of value must be an integer (u16), not the string "x"', 'a key of a hash');
is(dies('tree', { 1 => [ [] ] }), 'value{1}[0] must be a string, not a reference to an ARRAY', 'deep within');
is(dies('three', [ 1, 2 ]), 'value must have 3 elements, not 2', 'an array of a size');
is(dies('pairs', [ [1] ]), 'value[0] must have 2 elements, not 1', 'a tuple of a size');

# ---- numbers of arguments ----

my %usage = (
    nothing => ['', 1], add => [ 'a, b', 0, 1, 3 ], greet => [ q(name = "world", mark = '!'), 3 ], text_len => [ 'text = undef', 2 ],
    rest => [ 'first, ...', 0 ], middle => [ 'first = undef, second', 0, 1, 3 ], context => [ 'one', 0, 2 ],
    words => [ 'first, second = 2, ...', 0 ],
);
for my $name (sort keys %usage) {
    my ($params, @counts) = @{ $usage{$name} };
    is(dies($name, (1) x $_), "Usage: ${package}::$name($params)", "$name with $_") for @counts;
}
is(scalar(call('nothing')), undef, 'nothing is undef');
is(call('greet'), 'Hello, world!', 'defaults');
is(call('greet', 'x'), 'Hello, x!', 'a default');
is(call('greet', 'x', '?'), 'Hello, x?', 'no default');
is(dies('greet', undef), 'name must be a string, not undef', 'undef is not a missing argument');
is(call('text_len'), undef, 'no text');
is(call('text_len', undef), undef, 'undef for text');
is(call('text_len', "\x{20ac}"), 3, 'a text');
is(call('bytes_len', "\xe9"), 1, 'bytes');
is(call('file_name', '/a/b'), 'b', 'a path');
is(call('middle', undef, 1), 101, 'undef before');
is(call('rest', 'a', 1, 2), 'a[1, 2]', 'the rest');
is(call('rest', 'a'), 'a[]', 'no rest');
is(dies('rest', 'a', 1, -2), 'numbers[1] must be an integer (u16), not -2', 'one of the rest');
is(call('kind', 1.5) . call('kind', 1), 'floatinteger', 'a number');
is_deeply([ call('pair', [ 'a', 1 ]) ], [ 1, 'a' ], 'a tuple is a list');
is(scalar(call('pair', [ 'a', 1 ])), 'a', 'its last in scalar context');
is_deeply([ call('countdown', 2) ], [ 2, 1, 0 ], 'an iterator');
is_deeply(call('lot'), [ [ 1, 'one' ], [ 2, undef ] ], 'nested');
is_deeply([ call('words', 1, 2, 3) ], [ 3, 2, 1 ], 'a function that reads for itself');
is(prototype("${package}::words"),      '$;@', 'its prototype');
is(prototype("${package}::prototyped"), '$;$', 'a prototype');
is(prototype("${package}::add"),        undef, 'no prototype');
is(scalar(call('context', 7)), 'Scalar 1 true', 'around the arguments');
is((call('context', 7))[0], 'List 1 true', 'in list context');

# ---- magic ----

{
    package Tied;
    our $fetched = 0;
    sub TIESCALAR { my ($class, $value) = @_; return bless \$value, $class }
    sub FETCH { my ($self) = @_; $fetched++; die $$self if ref $$self eq 'HASH'; return $$self }

    package Num;
    use overload '0+' => sub { $_[0]{n} }, '""' => sub { "num $_[0]{n}" }, '@{}' => sub { [ 1, 2 ] }, fallback => 1;
}
for ([ i64 => 7 ], [ i64 => '8' ], [ u64 => 18446744073709551615 ], [ f64 => 1.5 ], [ string => 'a' ], [ bytes => 'b' ], [ bool => 1 ]) {
    my ($type, $value) = @$_;
    tie my $tied, 'Tied', $value;
    $Tied::fetched = 0;
    is(call($type, $tied), $value, "$type: tied");
    is($Tied::fetched, 1, 'read once');
    tie my $dying, 'Tied', { no => 1 };
    is_deeply(do { eval { call($type, $dying) }; $@ }, { no => 1 }, 'or it dies');
}
tie my $text, 'Tied', 'x';
$Tied::fetched = 0;
is(dies('i64', $text), 'value must be an integer (i64), not the string "x"', 'tied, and wrong');
is($Tied::fetched, 1, 'read once');
my $num = bless { n => 7 }, 'Num';
is(call('string', $num), 'num 7', 'overloaded string');
is_deeply(call('floats', $num), [ 1, 2 ], 'overloaded array');

# ---- errors ----

is(call('even', 2), 2, 'Ok');
is(drops { is(dies('even', 3), '3 is odd', 'somebody\'s error') }, 1, 'what it owned is dropped');
is(drops { is_deeply(do { eval { call('boxed', sub { die { a => 1 } }) }; $@ }, { a => 1 }, 'an exception in a box') }, 1, 'dropped');
is(call('boxed', sub {5}), 5, 'no exception');
like(dies('read', '/no/such'), qr/^No such file or directory \(os error 2\)$/, 'io::Error');
is(call('display', sub { die "oh\n" }), "oh\n", 'an exception displayed');
is(drops { is(dies('panics', 'so'), 'so', 'a panic') }, 1, 'dropped');

# ---- classes ----

my $class = "${package}::Tally";
is(call('package'), $class, 'the name of a class');
is(drops {
    my $tally = $class->new(5);
    is(ref $tally, $class, 'an object');
    is($tally->add(2), 7, '&mut self');
    is($tally->add,    8, 'with a default');
    is($tally->sum,    8, '&self');
    is($class->new->sum, 0, 'an optional argument');
}, 2, 'each dropped once');
@Sub::ISA = $class;
is(ref(Sub->new(1)), 'Sub', 'a subclass');
is(ref(call('tally', 1)), $class, 'from no constructor');
is_deeply([ map {ref} Sub->twins(1) ], [ 'Sub', 'Sub' ], 'two');
is(ref(Sub->fallible(1)), 'Sub', 'in an Option in a Result');
is(Sub->fallible(0), undef, 'None');
is(eval { Sub->fallible(-1); 1 } // $@ =~ s/ at .*//sr, '-1 is too small', 'Err');
like(eval { $class->new(1, 2); 1 } // $@, qr/^Usage: \Q$class\E::new\(class, sum = undef\) at/, 'usage of a constructor');
like(eval { $class->new->add(1, 2); 1 } // $@, qr/^Usage: \Q$class\E::add\(self, n = 1\) at/, 'usage of a method');
like(eval { $class->new->add('x'); 1 } // $@, qr/^n must be an integer \(i64\), not the string "x" at/, 'a wrong argument');
{
    no strict 'refs';
    my $sum = \&{"${class}::sum"};
    my $other = PerlXS::Test::Other->new;
    is(ref $other, 'PerlXS::Test::Other', 'a class of another name');
    for ([ undef, 'undef' ], [ 'x', 'the string "x"' ], [ {}, 'a reference to a HASH' ], [ $class, qq(the string "$class") ], [ $other, undef ], [ bless({}, $class), undef ],
        [ PerlXS::Test::Counter->new, undef ]) {
        my ($self, $what) = @$_;
        my $error = eval { $sum->($self); 1 } // $@;
        $what //= 'an object of class ' . ref $self;
        like($error, qr/^self must be an object of \Q$class\E, not \Q$what\E at/, "not $what");
    }
}
my ($x, $y) = ($class->new(1), $class->new(2));
is(call('both', $x, $y), 3, 'two objects');
is(dies('both', $x, $x), 'b is in use: a call that has not returned changes it', 'one as both');
is($x->sum, 3, 'which changed nothing, and is free again');
is(call('any', $x), 3, 'an optional object');
is(call('any'), undef, 'none');
is(dies('any', {}), "tally must be an object of $class, not a reference to a HASH", 'a wrong one');
like(eval { $x->change(sub { $x->sum }); 1 } // $@, qr/^self is in use: a call that has not returned changes it/, 'read while it changes');
like(eval { $x->change(sub { $x->add }); 1 } // $@, qr/^self is in use: a call that has not returned changes it/, 'changed while it changes');
like(eval { $x->look(sub { $x->add }); 1 } // $@, qr/^self is in use: a call that has not returned reads it/, 'changed while it is read');
is($x->look(sub { $x->look(sub { $x->sum }) }), 3, 'read while it is read');
is($x->change(sub { 4 }), 7, 'free again');
like(eval { $x->change(sub { die "oh\n" }); 1 } // $@, qr/^oh$/, 'a die meanwhile');
like(eval { $x->burst; 1 } // $@, qr/^burst at 7 at/, 'a panic meanwhile');
is($x->add, 8, 'free again after both');
is(drops { my $z = $class->new(1); is($z->change(sub { undef $z; 1 }), 2, 'the last reference goes meanwhile') }, 1, 'dropped once');

# ---- closures ----

is(drops {
    my $closure = call('closure', 7);
    is(ref $closure, 'CODE', 'code');
    is($closure->(), 7, 'called');
    is_deeply([ $closure->(sub { (1, 2) }) ], [ 1, 2 ], 'a list');
    is(eval { $closure->(sub { die "oh\n" }); 1 } // $@, "oh\n", 'a die within');
    like(eval { $closure->('x'); 1 } // $@, qr/^closure the string "x" at/, 'a panic within');
    is($closure->(sub { $closure->(sub {3}) }), 3, 'within itself');
    is_deeply([ map { $closure->() } 1 .. 3 ], [ 7, 7, 7 ], 'often');
    my $copy = $closure;
    undef $closure;
    is($copy->(), 7, 'a copy is the same code');
}, 1, 'dropped once');
is(drops { my $closure = call('closure', 7); is($closure->(sub { undef $closure; 5 }), 5, 'it gives up itself') }, 1, 'dropped once');
is(drops { my @closures = map { call('closure', $_) } 1 .. 10 }, 10, 'each is dropped');
is(drops { eval { my $closure = call('closure', 1); $closure->(sub { die [] }) } }, 1, 'after a die');
is(join(',', sort { $a <=> $b } map { call('adder', 40)->($_, 1) } 1, 2), '42,43', 'with types');
is(call('adder', 40)->(2), 42, 'an optional argument');
like(eval { call('adder', 1)->('x'); 1 } // $@, qr/^a must be an integer \(i64\), not the string "x" at/, 'a wrong argument');
like(eval { call('adder', 1)->(); 1 } // $@, qr/^Usage: CODE\(a, b = undef\) at/, 'too few');
like(eval { call('adder', 1)->(1, 2, 3); 1 } // $@, qr/^Usage: CODE\(a, b = undef\) at/, 'too many');
{
    no warnings 'once';
    local *named = call('adder', 1);
    is(named(2), 3, 'as a named sub');
}

SKIP: {
    skip 'a perl without threads', 4 if !$Config{useithreads};
    require threads;
    is(drops { threads->create(sub { our $kept = call('closure', 8); return })->join }, 1, 'a closure that lives as long as its thread');
    my ($output, $status) = child_perl(<<'PERL');
use threads;
my $tally = PerlXS::Test::Typed::Tally->new(5);
my $closure = PerlXS::Test::Typed::closure(7);
print threads->create(sub {
    my $text = eval { $tally->sum; 1 } ? "lives\n" : $@;
    $text .= eval { $closure->(); 1 } ? "lives\n" : $@;
    return $text . PerlXS::Test::Typed::closure(8)->() . PerlXS::Test::Typed::Tally->new(9)->sum . "\n";
})->join;
print $tally->sum, $closure->(), "\n";
undef $tally; undef $closure;
print PerlXS::Test::made() - PerlXS::Test::dropped(), "\n";
PERL
    my @lines = split /\n/, $output;
    like($lines[0], qr/holds nothing in this thread/, 'an object of another thread');
    like($lines[1], qr/holds nothing in this thread/, 'a closure of another thread');
    is_deeply([ @lines[ 2 .. $#lines ], $status ], [ 89, 57, 0, 0 ], 'those of this one');
}

# ---- nothing is left ----

is(leaks { dies('add', 1, 'x'); call('lot'); call('tree', { 1 => ['a'] }); call('greet') }, 0, 'no scalars are left');
is(leaks { my $t = $class->new(1); $t->add; eval { $t->burst } }, 0, 'by objects');
is(leaks { my $c = call('closure', 1); $c->(); eval { $c->('x') } }, 0, 'by closures');
is(uneven(), 0, "perl's stacks are level");

# ---- five functions ----

my ($library) = grep { DynaLoader::dl_find_symbol($_, 'boot_Five', 1) } @DynaLoader::dl_librefs;
DynaLoader::dl_install_xsub('Five::bootstrap', DynaLoader::dl_find_symbol($library, 'boot_Five'))->('Five', '1.0');
is(Five::add(40, 2), 42, 'add');
is(Five::greet('x') . Five::greet(), 'Hello, x!Hello, world!', 'greet');
is(Five::sum([ 1, 2.5 ]), 3.5, 'sum');
is(Five::apply(sub { $_[0] * 2 }, 21), 42, 'apply');
is(Five::Counter->new(41)->increment, 42, 'Counter');
open my $source, '<', "$FindBin::Bin/../extension/five.rs" or die "five.rs: $!";
my ($text_of_five) = do { local $/; <$source> } =~ /^\/\/ ----\n(.*)/ms;
my @tokens = $text_of_five =~ /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])'|'?\w+(?:\.\d+)?|->|=>|::|\+=|\S/g;
cmp_ok(scalar @tokens, '<=', 250, 'in ' . @tokens . ' tokens');

done_testing();
