# Truth, package variables, modules.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use PerlXS::Test qw(is_true dropped variable load_module);

package Tied {
    sub TIESCALAR { my ($class, $code) = @_; return bless { code => $code }, $class }
    sub FETCH { my $self = shift; $self->{n}++; return $self->{code}->() }
}
package Bool { use overload 'bool' => sub { $_[0][0]->() }, fallback => 0 }

package main;

for (1, '00', '0.0', "0\n", ' ', [], \0, 0.1, *STDOUT, bless([sub { 1 }], 'Bool')) {
    is is_true($_), 1, "$_ is true" if !ref || ref ne 'Bool';
    is is_true($_), 1, 'an object that says so is true' if ref eq 'Bool';
}
for (0, '', '0', 0.0, undef, bless([sub { '' }], 'Bool')) {
    is is_true($_), 0, 'false: ' . (ref || ($_ // 'undef'));
}
my $object = tie my $tied, 'Tied', sub { 7 };
is is_true($tied), 1, 'a tied scalar';
is $object->{n}, 1, 'is read once';

my $before = dropped();
tie my $dying, 'Tied', sub { die "no fetch\n" };
ok !eval { is_true($dying); 1 }, 'a tie that dies';
is $@, "no fetch\n", 'passes on';
ok !eval { is_true(bless [sub { die "no bool\n" }], 'Bool'); 1 }, 'so does an overload method';
is $@, "no bool\n", 'with its exception';
is dropped() - $before, 2, 'and Rust has dropped what it had';

variable('first');
{ no warnings 'once'; is $PerlXS::Test::variable, 'first', 'a package variable that did not exist'; }
tie $PerlXS::Test::variable, 'Tied', sub { 1 };
ok !eval { variable(5); 1 }, 'a tied one that cannot store';
untie $PerlXS::Test::variable;
variable("\x{20ac}");
is $PerlXS::Test::variable, "\x{20ac}", 'and characters';

ok !$INC{'Text/Abbrev.pm'}, 'a module that is not loaded';
load_module('Text::Abbrev');
ok $INC{'Text/Abbrev.pm'}, 'is';
ok !defined &main::abbrev, 'and imports nothing';
$before = dropped();
ok !eval { load_module('PerlXS::Test::Nowhere'); 1 }, 'one that is nowhere';
like $@, qr{^Can't locate PerlXS/Test/Nowhere\.pm in \@INC}, 'says so';
# a hook that hands out a program: lines, without a handle
sub module {
    my ($name, @lines) = @_;
    return sub { return $_[1] eq $name ? sub { $_ = shift @lines; defined $_ ? 1 : 0 } : () };
}
unshift @INC, module('PerlXS/Test/Dying.pm', "die qq{no luck\\n};\n");
ok !eval { load_module('PerlXS::Test::Dying'); 1 }, 'one that dies';
like $@, qr/^no luck\n/, 'passes that on';
is dropped() - $before, 2, 'and Rust has dropped what it had';

shift @INC;

my ($output, $status) = child_perl('unshift @INC, sub { my @l = "exit 7;\n"; sub { $_ = shift @l; defined $_ ? 1 : 0 } };'
    . ' PerlXS::Test::load_module("Some::Exit"); print "not here"');
is $output, '', 'one that exits';
is $status, 7, 'exits';

done_testing;
