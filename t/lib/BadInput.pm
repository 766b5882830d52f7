package BadInput;

# What no argument should be, and what each is to perl: a number, a string, a handle, code, a place
# to store. Perl itself is asked, not the module.

use strict;
use warnings;
no warnings qw(once portable);

use B ();
use Exporter 'import';
use Scalar::Util qw(blessed dualvar looks_like_number reftype weaken);

our @EXPORT = qw(values_and_meanings tied_to acting);

# ---- classes ----

package BadInput::Tied {
    sub TIESCALAR { my ($class, $fetch) = @_; return bless { fetch => $fetch, read => 0 }, $class }
    sub FETCH { my ($self) = @_; $self->{read}++; return $self->{fetch}->() }
    sub STORE { my ($self, $value) = @_; $self->{fetch} = sub { $value }; return }
}
package BadInput::Dies {
    use overload map({ my $how = $_; $how => sub { die "overloaded\n" } } qw(0+ "" bool &{} *{} @{} %{} ${})), fallback => 0;
}
package BadInput::Nonsense {
    use overload '0+' => sub { [] }, '""' => sub { undef }, 'bool' => sub { '' },
        '&{}' => sub { {} }, '*{}' => sub { \\1 }, '@{}' => sub { \*STDOUT }, '%{}' => sub { [] }, '${}' => sub { [] }, fallback => 0;
}
# a number, a string and no more
package BadInput::Speaks {
    use overload '0+' => sub { $_[0][0] }, '""' => sub { $_[0][1] }, 'bool' => sub { 1 }, fallback => 0;
}
package BadInput::Acts {
    # its own array is read without another conversion
    my $act = sub {
        my ($self) = @_;
        my $code = do { no overloading; $self->[0] };
        return $code->();
    };
    use overload map({ my $how = $_; $how => sub { $act->($_[0]) } } qw(0+ "" bool)),
        map({ my ($how, $result) = @$_; $how => sub { $act->($_[0]); $result } } [ '&{}', sub { 7 } ], [ '*{}', \*STDOUT ], [ '@{}', [] ], [ '%{}', {} ], [ '${}', \1 ]), fallback => 0;
}
package BadInput::Plain { }

package BadInput;

my $infinity = 9**9**9;
my $nan      = -sin $infinity;
our ($package_variable, @package_array);

# Passes on a scalar that is tied to code; $reads is how often it has been read.
our $reads;

sub tied_to {
    my ($fetch, $then) = @_;
    my $tie = tie my $tied, 'BadInput::Tied', $fetch;
    and_then($then, sub { $reads = $tie->{read} }, $tied);
    return;
}

# Passes on an object whose every conversion runs the code.
sub acting {
    my ($code, $then) = @_;
    $then->(bless [$code], 'BadInput::Acts');
    return;
}

# Each: a name, a sub that passes the value on as the caller's own scalar, and what perl cannot be
# asked without doing harm. A field that is a pattern is what reading the value so dies of.
my @values = (
    [ 'undef'                 => sub { $_[0]->(undef) }, is_constant_undef => 1 ],
    [ 'an undefined variable' => sub { my $v; $_[0]->($v) } ],
    [ '0'                     => sub { my $v = 0; $_[0]->($v) } ],
    [ '-1'                    => sub { my $v = -1; $_[0]->($v) } ],
    [ '-0.0'                  => sub { my $v = -0.0; $_[0]->($v) } ],
    [ 'a literal -1'          => sub { $_[0]->(-1) } ],
    (map { my $n = $_; [ "number $n" => sub { my $v = $n; $_[0]->($v) } ] }
        1 << 31, -(1 << 31) - 1, 1 << 32, 1 << 62, ~0, -(1 << 62) * 2, 2**65, 1e30, -1e30, 1e300, -1e300, 1.5, -0.5, 1e-300, $infinity, -$infinity, $nan),
    (map { my $s = $_; [ "string '$s'" => sub { my $v = $s; $_[0]->($v) } ] }
        '', ' ', '5 apples', '0x10', '1_000', 'Inf', 'NaN', '-1', '1e30', '99999999999999999999999', '0 but true', '-', '.', "\n", 'constructor',
        'main::', '::', '*NoHandle', '&main::ok', '$x', 'a=b', '/', '../..'),
    [ 'a literal string'      => sub { $_[0]->('literal') } ],
    (map { my $s = $_; [ "the name $s" => sub { my $v = $s; $_[0]->($v) }, handle => 1 ] } 'STDOUT', 'main::STDOUT', '*main::STDOUT'),
    [ 'a NUL'                 => sub { my $v = "a\0b"; $_[0]->($v) } ],
    [ 'UTF-8'                 => sub { my $v = "\x{20ac}uro"; $_[0]->($v) } ],
    [ 'bytes that are no UTF-8' => sub { my $v = "\xff\xfe"; $_[0]->($v) } ],
    [ 'those, upgraded'       => sub { my $v = "\xff\xfe"; utf8::upgrade($v); $_[0]->($v) } ],
    [ 'digits of another script' => sub { my $v = "\x{661}\x{662}"; $_[0]->($v) } ],
    [ 'beyond Unicode'        => sub { no warnings; my $v = "\x{d800}\x{110000}"; $_[0]->($v) } ],
    [ 'a very long string'    => sub { my $v = 'x' x 100_000; $_[0]->($v) } ],
    [ 'a very long one with NULs' => sub { my $v = "x\0" x 50_000; $_[0]->($v) } ],
    [ 'a string that was used as a number' => sub { no warnings; my $v = '5x'; my $n = $v + 0; $_[0]->($v) } ],
    [ 'a reference as a string' => sub { my $v = '' . []; $_[0]->($v) }, has_address => 1 ],
    [ 'an array'              => sub { $_[0]->([]) } ],
    [ 'an array of arrays'    => sub { $_[0]->([ [], [] ]) } ],
    [ 'an array of itself'    => sub { my $v = my $array = []; $v->[0] = $v; and_then($_[0], sub { @$array = () }, $v) }, copy => [1] ],
    [ 'a hash'                => sub { $_[0]->({ nonsense => 1 }) } ],
    [ 'a scalar'              => sub { $_[0]->(\my $v) } ],
    [ 'a constant'            => sub { $_[0]->(\1) } ],
    [ 'a reference to undef'  => sub { $_[0]->(\undef) } ],
    [ 'a reference to a reference' => sub { $_[0]->(\\my $v) } ],
    [ 'a reference to itself' => sub { my $v; $v = \$v; and_then($_[0], sub { undef $v }, $v) }, copy => \\1 ],
    [ 'an undefined sub'      => sub { no strict 'refs'; $_[0]->(\&{'BadInput::never_defined'}) } ],
    [ 'a handle'              => sub { $_[0]->(\*STDOUT) } ],
    [ 'a glob'                => sub { $_[0]->(*STDOUT) }, assignable => 'glob' ],
    [ 'a glob in a variable'  => sub { my $v = *STDOUT; $_[0]->($v) }, assignable => 'glob' ],
    [ 'a glob without a handle' => sub { $_[0]->(*BadInput::nothing_here) }, assignable => 'glob' ],
    [ 'a closed handle'       => sub { open my $v, '<', '/dev/null' or die $!; close $v; $_[0]->($v) } ],
    [ 'a handle in memory'    => sub { open my $v, '<', \'text' or die $!; $_[0]->($v) } ],
    [ 'an IO object'          => sub { $_[0]->(*STDOUT{IO}) } ],
    [ 'a format'              => sub { $_[0]->(*BadInput::FORMAT{FORMAT}) } ],
    [ 'a substr'              => sub { my $s = 'text'; $_[0]->(\substr $s, 1, 2) } ],
    [ 'a pos'                 => sub { my $s = 'text'; $_[0]->(\pos $s) } ],
    [ 'a vec'                 => sub { my $s = 'text'; $_[0]->(\vec $s, 1, 8) } ],
    [ 'a reference to a v-string' => sub { $_[0]->(\v1.2.3) } ],
    [ 'a pattern'             => sub { $_[0]->(qr/x/) } ],
    [ 'what a pattern refers to' => sub { my $v = qr/x/; $_[0]->($$v) } ],
    [ 'an object'             => sub { $_[0]->(bless {}, 'BadInput::Plain') } ],
    [ 'an object that is an array' => sub { $_[0]->(bless [], 'BadInput::Plain') } ],
    [ 'an object that is a scalar' => sub { $_[0]->(bless \my $v, 'BadInput::Plain') } ],
    [ 'an object that is code' => sub { $_[0]->(bless sub { }, 'BadInput::Plain') } ],
    [ 'an object of class 0'  => sub { $_[0]->(bless [], '0') } ],
    [ 'a weak reference that is gone' => sub { my $v = [ my $gone = {} ]; weaken $v->[0]; undef $gone; $_[0]->($v->[0]) } ],
    [ 'a v-string'            => sub { $_[0]->(v1.2.3) } ],
    [ 'a number that is text' => sub { my $v = dualvar 17, 'text'; $_[0]->($v) }, number => 17 ],
    [ 'undef that is text'    => sub { my $v = dualvar $nan, 'text'; $_[0]->($v) }, number => 'fraction' ],
    [ '$!'                    => sub { local $! = 2; $_[0]->($!) }, number => 2 ],
    [ 'true'                  => sub { $_[0]->(!!1) } ],
    [ 'false'                 => sub { $_[0]->(!!0) }, number => 0 ],
    [ 'an overloaded object that dies' => sub { $_[0]->(bless [], 'BadInput::Dies') },
        said => qr/an object of class BadInput::Dies/, (map { $_ => qr/\Aoverloaded\n\z/ } qw(number string handle code true)), assignable => 1, copy => 'object' ],
    [ 'one that talks nonsense' => sub { $_[0]->(bless [], 'BadInput::Nonsense') },
        said => qr/an object of class BadInput::Nonsense/, number => 'none', string => undef, handle => 'none', code => 0, true => 0, assignable => 1, copy => 'object' ],
    [ 'one that is a number and a string' => sub { $_[0]->(bless [ 17, 'text' ], 'BadInput::Speaks') },
        said => qr/an object of class BadInput::Speaks/, number => 17, string => 'text', handle => 'none', code => 0, true => 1, assignable => 1, copy => 'object' ],
    [ 'a tied scalar that dies' => sub { tied_to(sub { die "tied\n" }, $_[0]) },
        (map { $_ => qr/\Atied\n\z/ } qw(number string handle code true copy)), said => qr/.*/, assignable => 1 ],
    [ 'one that dies with an object' => sub { tied_to(sub { die bless [], 'BadInput::Plain' }, $_[0]) },
        (map { $_ => qr/\ABadInput::Plain=ARRAY/ } qw(number string handle code true copy)), said => qr/.*/, assignable => 1, has_address => 1 ],
    [ 'a tied undef'          => sub { tied_to(sub { undef }, $_[0]) }, assignable => 1 ],
    [ 'a tied array'          => sub { tied_to(sub { [] }, $_[0]) }, assignable => 1 ],
    [ 'a tied number'         => sub { tied_to(sub { 17 }, $_[0]) }, assignable => 1 ],
    [ 'a tied string'         => sub { tied_to(sub { 'text' }, $_[0]) }, assignable => 1 ],
    [ 'a tied glob'           => sub { tied_to(sub { *STDOUT }, $_[0]) }, assignable => 'perhaps' ],
    [ 'a read-only variable'  => sub { my $v = -7; Internals::SvREADONLY($v, 1); $_[0]->($v) } ],
    [ 'an element that is not there' => sub { my @a; $_[0]->($a[7]) } ],
    [ 'a value that is not there' => sub { my %h; $_[0]->($h{key}) } ],
    [ 'a localized element'   => sub { my %h = (a => 1); local $h{a}; delete $h{a}; $_[0]->($h{a}) } ],
    [ 'a substr in place'     => sub { my $s = 'text'; $_[0]->(substr $s, 1, 2) } ],
    [ 'a substr that is outside by now' => sub { my $s = 'text'; my $v = \substr $s, 3, 1; $s = ''; $_[0]->($$v) }, copy => undef, warns => qr/^substr outside of string|^Use of uninitialized value/ ],
    [ 'a vec in place'        => sub { my $s = "\5"; $_[0]->(vec $s, 0, 8) } ],
    [ 'a pos in place'        => sub { my $s = 'text'; $s =~ /e/g; $_[0]->(pos $s) } ],
    [ 'an undefined pos'      => sub { my $s = 'text'; $_[0]->(pos $s) } ],
    [ 'the last index'        => sub { my @a = 1 .. 3; $_[0]->($#a) } ],
    [ 'keys'                  => sub { my %h = (a => 1, b => 2); $_[0]->(scalar keys %h) } ],
    [ 'a match'               => sub { 'text' =~ /(e)/; $_[0]->($1) } ],
    [ 'no match'              => sub { 'text' =~ /(e)|(x)/; $_[0]->($2) } ],
    [ 'an environment variable' => sub { local $ENV{BAD_INPUT} = 'text'; $_[0]->($ENV{BAD_INPUT}) } ],
    [ 'an element of a tied hash' => sub { tie my %h, 'BadInput::TiedHash'; $_[0]->($h{key}) }, assignable => 1 ],
    [ 'a value of a restricted hash' => sub { my %h = (a => 'text'); Internals::SvREADONLY(%h, 1); Internals::SvREADONLY($h{a}, 1); $_[0]->($h{a}) } ],
    [ 'a key of a hash'       => sub { my %h = (text => 1); $_[0]->($_) for keys %h } ],
    [ '$_'                    => sub { local $_ = 'text'; $_[0]->($_) } ],
);

package BadInput::TiedHash {
    sub TIEHASH { return bless [] }
    sub FETCH   { return 'text' }
    sub STORE   { return }
}

package BadInput;

format FORMAT =
.

# Passes a value on and cleans up, whatever becomes of it.
sub and_then {
    my ($then, $clean_up) = splice @_, 0, 2;
    my $lives = eval { &$then; 1 };
    my $error = $@;
    $clean_up->();
    die $error if !$lives;
    return;
}

# A number: an integer, or 'undef', 'none' or 'fraction', which stands for all that is not finite.
sub number_of {
    my ($v) = @_;
    return 'undef' if !defined $v;
    return 'none' if defined reftype $v || ref \$v eq 'GLOB' || !looks_like_number($v);
    no warnings 'numeric';
    my $n = $v + 0;
    return $n != $n || abs $n == $infinity || $n != int $n ? 'fraction' : $n;
}

# The bytes that the system gets.
sub string_of {
    my ($v) = @_;
    return if !defined $v || defined reftype $v || ref \$v eq 'GLOB';
    utf8::encode($v) if utf8::is_utf8($v);
    return $v;
}

sub handle_of {
    my ($v) = @_;
    my $glob = ref \$v eq 'GLOB' ? \$v : $v;
    return 'none' if (reftype($glob) // '') !~ /^(?:GLOB|IO)$/;
    my $io = reftype $glob eq 'IO' ? $glob : *{$glob}{IO};
    my $fd = $io && fileno $io;
    return defined $fd && $fd >= 0 ? $fd : 'closed';
}

sub code_of {
    my ($v) = @_;
    return 0 if (reftype($v) // '') ne 'CODE';
    return defined &$v ? 1 : 0;
}

sub said_of {
    my ($v) = @_;
    return qr/undef/ if !defined $v;
    return qr/the glob \Q$v\E/ if ref \$v eq 'GLOB';
    my ($class, $type) = (blessed($v), reftype $v);
    if (defined $type) {
        return defined $class ? qr/an object of class \Q$class\E/ : qr/a reference to an? \Q$type\E/;
    }
    # before 5.36 a number that has been read as a string is one
    my $is_string = B::svref_2object(\$v)->FLAGS & B::SVf_POK;
    # before 5.28 a pattern is none
    return qr/a value of type REGEXP/ if !$is_string && ref \$v eq 'REGEXP';
    return qr/(?:the string "\Q$v\E"|\Q$v\E)/ if !$is_string && $v =~ /\A-?[1-9]\d*\z/;
    return qr/(?:the string ")?-?(?:\d[\d.]*(?:e[-+]?\d+)?|inf|nan)"?/i if !$is_string;
    return qr/(?:the string "\Q$v\E"|\Q$v\E)/ if looks_like_number($v);
    return qr/the string "\Q$v\E"/ if $v =~ /\A[-\w .:]{0,60}\z/a;
    return qr/the string "[ -~]+"(?:\.\.\.)?/;
}

# 1, 'glob', or what perl says instead.
sub assignable {
    my ($give) = @_;
    my $can = eval { $give->(sub { $_[0] = 4711 }); 1 };
    return $can ? 1 : $@;
}

# The values: hashes with `name`, `give` and what the value is to perl.
sub values_and_meanings {
    my @all;
    for (@values) {
        my ($name, $give, %known) = @$_;
        my %meaning = (name => $name, give => $give);
        if (exists $known{copy}) {
            %meaning = (%meaning, meanings($known{copy}));
        }
        else {
            $give->(sub { my $copy = $_[0]; %meaning = (%meaning, meanings($copy)) });
        }
        $meaning{assignable} = exists $known{assignable} ? 1 : assignable($give);
        push @all, { %meaning, %known };
    }
    return @all;
}

sub meanings {
    my ($v) = @_;
    return (
        copy    => $v,
        number  => number_of($v),
        string  => scalar string_of($v),
        handle  => handle_of($v),
        code    => code_of($v),
        true    => $v ? 1 : 0,
        said    => said_of($v),
        defined => defined $v ? 1 : 0,
    );
}

1;
