# The workflows for a public host, as far as they can be checked without one.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use AuthorTest;
use File::Temp ();
use YAML::XS ();

my $top    = top();
my $file   = '.github/workflows/ci.yml';
my $ci     = YAML::XS::Load(slurp("$top/$file"));    # dies of what is not YAML
my %jobs   = %{ $ci->{jobs} };
my ($rust) = slurp("$top/Cargo.toml") =~ /^rust-version = "(.+)"/m;
my ($perl) = slurp("$top/Makefile.PL") =~ /^use 5\.0*(\d+);/m;

is_deeply [ sort keys %jobs ], [qw(checkout checks debian perls tarball)], 'the jobs';
is_deeply $ci->{permissions}, { contents => 'read' }, 'which may read, and no more';

for my $name (sort keys %jobs) {
    my $job = $jobs{$name};
    ok $job->{$_}, "$name has $_" for qw(name runs-on steps);
    is_deeply [ grep { !$jobs{$_} } map { ref ? @$_ : $_ } $job->{needs} // () ], [], 'what it needs is there';
    for my $step (@{ $job->{steps} }) {
        is scalar(grep { defined $step->{$_} } qw(run uses)), 1, 'a step runs a command or uses an action';
        like $step->{uses}, qr{^actions/[a-z-]+\@v\d+$}, $step->{uses} if $step->{uses};
        next if !$step->{run};
        # what the host replaces, replaced by a word
        my $script = $step->{run} =~ s/\$\{\{ matrix\.(\w+) \}\}/ok exists $job->{strategy}{matrix}{$1}, "matrix.$1"; 'word'/ger;
        unlike $script, qr/\$\{\{/, 'nothing else is replaced';
        my $copy = File::Temp->new;
        spew("$copy", $script);
        runs("bash reads: $script", $top, 'bash', '-n', "$copy");
    }
}

sub commands { return join "\n", map { $_->{run} // () } @{ $jobs{ $_[0] }{steps} } }

like commands('checks'), qr{^\.ci/run$}m, '.ci/run is run';
ok -x "$top/.ci/run", 'and can be';
for my $name (qw(checkout perls debian)) {
    like commands($name), qr/perl Makefile\.PL && make && make test/, "$name: the README's commands";
}
for my $name (qw(checkout perls)) {
    is_deeply $jobs{$name}{strategy}{matrix}{rust}, [ $rust, 'stable' ], "$name: the oldest Rust and the newest";
}
my %perls = map { $_ => 1 } @{ $jobs{perls}{strategy}{matrix}{perl} };
ok $perls{"5.$perl"} && $perls{"5.$perl-threaded"}, 'perls: the oldest perl, with threads and without';
is_deeply [ grep { !$perls{"$_-threaded"} } grep { !/-threaded$/ } keys %perls ], [], 'and so are the others';
like commands('perls'),  qr/--network none/,  'without a network';
like commands('debian'), qr/unshare --net /, "so Debian's";

done_testing;
