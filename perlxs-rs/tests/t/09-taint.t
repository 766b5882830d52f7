# Taint mode: what a call has read, and the environment. This file runs itself again with -T.
use strict;
use warnings;

my $lib;
BEGIN {
    ($lib) = __FILE__ =~ m{^(.*)/}s;
    $lib = ($lib // '.') . '/../lib';
    if (!${^TAINT}) {
        # a perl without taint support refuses to run, or does without
        if (`$^X -T -e 'print \${^TAINT}' 2>&1` ne '1') {
            print "1..0 # SKIP this perl has no taint support\n";
            exit;
        }
        exec $^X, '-T', __FILE__ or die "exec: $!";
    }
}
use lib $lib;
use PerlXS::Test qw(act trust_env);
use Scalar::Util qw(tainted);
use Test::More;

my $nothing = substr $ENV{PATH} // $^X, 0, 0;
ok tainted($nothing), 'this is taint mode';
my $tainted = "7$nothing";

package Tied {
    sub TIESCALAR { my ($class, $code) = @_; return bless { code => $code }, $class }
    sub FETCH { return $_[0]{code}->() }
    sub STORE { }
}
package Object {
    use overload
        '""' => sub { $_[0]{code}->() },
        '0+' => sub { $_[0]{code}->() },
        'bool' => sub { $_[0]{code}->() },
        '&{}' => sub { my $self = shift; sub { } },
        fallback => 0;
}

package main;

# What it says, or dies of.
sub said {
    my ($code) = @_;
    my @got = eval { $code->() };
    return $@ eq '' ? "@got" : $@ =~ s/ at .+ line \d+\.\n\z//r;
}
my $refusal = 'Insecure dependency in act while running with -T switch';

for my $how (qw(number bytes text name copy true defined code fileno)) {
    is said(sub { act($how, $tainted) }), $refusal, "$how: a tainted argument is refused";
    is said(sub { act($how, 7, '8', 9.5) }), 3, 'others are not';
    is said(sub { act($how, $tainted, 8) }), $refusal, 'nor forgotten for those after it';
    tie my $tied, 'Tied', sub { my $x = 5; return 5 };
    is said(sub { act($how, $tied) }), 1, 'a tied one is read';
    is said(sub { act($how, $tainted, $tied) }), $refusal, 'whose code forgets nothing either';
    tie my $source, 'Tied', sub { return $tainted };
    is said(sub { act($how, $source, 8) }), $refusal, 'and gives what is tainted';
}
for my $how (qw(number text name true)) {
    is said(sub { act($how, bless { code => sub { my $x = 5; $x } }, 'Object') }), 1, "$how: an overload method's value";
    is said(sub { act($how, $tainted, bless { code => sub { 5 } }, 'Object') }), $refusal, 'takes no taint away';
    is said(sub { act($how, bless { code => sub { $tainted } }, 'Object') }), $refusal, 'and may be tainted';
    is said(sub { act($how, bless({ code => sub { $tainted } }, 'Object'), 8) }), $refusal, 'which stays so';
}
is said(sub { act('elements', [ 1, $tainted, 2 ]) }), $refusal, 'an element';
is said(sub { act('elements', [ 1, 2 ]) }), 1, 'of an array';
is said(sub { act('entries', { a => 1, b => $tainted }) }), $refusal, 'a value';
is said(sub { act('entries', { $tainted => 1 }) }), 1, 'of a hash, whose keys perl does not taint';
is said(sub { act('nothing', $tainted) }), 1, 'what nobody reads does not count';
is said(sub { act("text$nothing") }), $refusal, 'what says how does';

# what the expression has read otherwise
is said(sub { ($tainted ? 1 : 0) + act('text', 'x') }), 2, 'nor what the statement has read';
is said(sub { act('text', $tainted ? 'x' : 'y') }), 1, 'even for the argument';
is said(sub { act('text', "x$tainted") }), $refusal, 'but if it is made of it';

# variables that are assigned to
{
    my $variable = $tainted;
    is said(sub { act('assignable', $variable) }), 1, 'what a variable held does not count';
    ok tainted($variable), 'and stays tainted';
    is $variable, 7, 'and stays';
    PerlXS::Test::set($variable, 5);
    ok !tainted($variable), 'until something else is assigned';
    PerlXS::Test::set($variable, $tainted);
    ok tainted($variable), 'that is not';
}

# results are as tainted as what they are of
ok tainted(PerlXS::Test::text($tainted)),  'a result of what is tainted is, too';
ok tainted(PerlXS::Test::number($tainted)), 'be it a number';
ok !tainted(PerlXS::Test::text('x')),      'another is not';
ok !tainted(($tainted x 1, PerlXS::Test::text('x'))[1]), 'whatever stands beside it';

# it can be caught, and nothing is left
my $before = PerlXS::Test::dropped();
ok !eval { act('text', $tainted); 1 }, 'it dies';
is PerlXS::Test::dropped() - $before, 1, 'and Rust has dropped what it had';
ok eval { chdir '.'; 1 }, 'the next statement starts anew';

# the environment
is said(sub { trust_env() }), 'Insecure $ENV{PATH} while running with -T switch', 'a PATH from outside';
$ENV{PATH} = '/usr/bin:/bin';
delete @ENV{qw(IFS CDPATH ENV BASH_ENV)};
is said(sub { trust_env() }), 1, 'one of this program';
{
    local $ENV{BASH_ENV} = $tainted;
    is said(sub { trust_env() }), 'Insecure $ENV{BASH_ENV} while running with -T switch', 'what a shell reads';
    local $ENV{PATH} = '/usr/bin:.';
    is said(sub { trust_env() }), 'Insecure directory in $ENV{PATH} while running with -T switch', 'a directory that is not absolute';
}

# -t warns
my $program = <<'PERL';
    my $tainted = '7' . substr $^X, 0, 0;
    local $SIG{__WARN__} = sub { print "warned: @_" };
    print PerlXS::Test::act('text', $tainted), "\n";
    $SIG{__WARN__} = sub { die "died: @_" };
    eval { PerlXS::Test::act('text', $tainted); 1 } or print $@;
PERL
my ($perl) = $^X =~ /(.*)/s;
open my $fh, '-|', $perl, '-t', "-I$lib", '-MPerlXS::Test', '-e', $program or die "perl: $!";
is join('', <$fh>), "warned: Insecure dependency in act while running with -t switch at -e line 3.\n1\n"
    . "died: Insecure dependency in act while running with -t switch at -e line 5.\n", '-t warns, and its handler may die';

done_testing;
