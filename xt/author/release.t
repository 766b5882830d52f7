# What a release says about itself: its version, its Changes, its META files.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use AuthorTest;
use CPAN::Meta ();
use ExtUtils::MakeMaker ();
use Module::Metadata ();

my $top     = top();
my $version = MM->parse_version("$top/lib/Linux/Clone.pm");

# ---- the version: it stands in Clone.pm; what else must name it agrees ----

my ($major, $minor) = $version =~ /^(\d+)\.(\d{3})$/;
ok defined $minor, "version $version: three digits after the point" or BAIL_OUT('what version is that?');
cmp_ok $version, '>', 1.3, "above 1.3, the last one of CPAN's module of this name";
# 2.010 is Cargo's 2.10.0
my $crate = join '.', $major, $minor + 0, 0;
like slurp("$top/Cargo.toml"), qr/^version = "\Q$crate\E"$/m, "Cargo.toml's";
like slurp("$top/Cargo.lock"), qr/^name = "linux-clone"\nversion = "\Q$crate\E"$/m, "Cargo.lock's";
is(MM->parse_version("$top/lib/Linux/Clone/Child.pm"), $version, "Linux::Clone::Child's");
like slurp("$top/lib/Linux/Clone.pm"), qr/^=head1 VERSION\n\nThis is the manual of version \Q$version\E\.$/m, "the manual's";

# ---- Changes, as CPAN::Changes::Spec has it ----

my $w3c     = qr/\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[-+]\d\d:\d\d))?/;
my $unknown = qr/Unknown Release Date|Unknown|Not Released|Development Release|Development|Developer Release/;
my (@releases, @wrong);
my ($preamble, @lines) = split /\n/, slurp("$top/Changes");
is $preamble, 'Revision history for Linux::Clone', 'Changes: the preamble';
for (@lines) {
    if (/^(\d[\d._]*)\s+($w3c|$unknown)$/) { push @releases, { version => $1, date => $2, changes => [] } }
    elsif (/^  - (\S.*)$/)                 { push @{ $releases[-1]{changes} }, $1 }
    # a further line of a change, or the name of a group of changes
    elsif (/^(?:    \S.*|  \[\S.*\]|)$/)   { }
    else                                   { push @wrong, $_ }
}
is_deeply \@wrong, [], 'each line is a release, a change or a part of one';
is_deeply [ grep { length > 80 || /[^ -~]/ } @lines ], [], 'plain text, 80 columns';
is $releases[0]{version}, $version, 'the newest release is this one';
is_deeply [ map { $_->{version} } @releases ], [ sort { $b <=> $a } map { $_->{version} } @releases ], 'newest first';
my @dates = grep { !/$unknown/ } map { $_->{date} } @releases;
is_deeply \@dates, [ reverse sort @dates ], 'as their dates say';
is_deeply [ grep { !@{ $_->{changes} } } @releases ], [], 'each has changes';

# ---- META.json and META.yml ----

my $copy = copy_checkout();
runs('perl Makefile.PL', $copy, $^X, 'Makefile.PL');
runs('make distmeta', $copy, 'make', 'distmeta');
my $dist = "$copy/Linux-Clone-$version";

my $meta = CPAN::Meta->load_file("$dist/META.json", { lazy_validation => 0 });    # dies of what is not valid
is $meta->meta_spec_version, 2, 'META.json: of spec 2';
my $yml = CPAN::Meta->load_file("$dist/META.yml", { lazy_validation => 0 });
is $yml->$_, $meta->$_, "META.yml and META.json: the same $_" for qw(name version abstract);
is_deeply $yml->provides, $meta->provides, 'and the same packages';

my ($abstract) = slurp("$top/lib/Linux/Clone.pm") =~ /^=head1 NAME\n\nLinux::Clone - (.+)$/m;
is $meta->name,           'Linux-Clone', 'name';
is $meta->version,        $version,      'version';
is $meta->abstract,       $abstract,     "abstract: the manual's";
is_deeply [ $meta->licenses ], ['perl_5'], 'license';
is $meta->dynamic_config, 0, 'what it needs does not depend on the system';
is_deeply [ sort @{ $meta->no_index->{directory} } ], [qw(bench examples inc perlxs-rs t xt)], 'no_index';
is_deeply [ $meta->resources->{license} ], [ ['https://dev.perl.org/licenses/'] ], 'resources';
like $meta->resources->{$_->[0]}{ $_->[1] }, qr{^https://\S+$}, "and the $_->[0]" for [qw(repository url)], [qw(bugtracker web)];
{
    local @ENV{qw(REPOSITORY BUGTRACKER)} = ('https://example.net/code', 'https://example.net/bugs');
    runs('perl Makefile.PL, with both in the environment', $copy, $^X, 'Makefile.PL');
    runs('make distmeta', $copy, 'make', 'distmeta');
    my $named = CPAN::Meta->load_file("$dist/META.json")->resources;
    is "$named->{repository}{url} $named->{bugtracker}{web}", join(' ', @ENV{qw(REPOSITORY BUGTRACKER)}), 'names these';
}

# lib, not what EUMM or Module::Metadata makes of it
my %packages;
for my $file (grep { m{^lib/.*\.pm$} } tracked()) {
    my ($code) = split /^__END__$/m, slurp("$top/$file");
    $packages{$_} = $file for $code =~ /^package ([\w:]+)/mg;
}
is_deeply { map { $_ => $meta->provides->{$_}{file} } keys %{ $meta->provides } }, \%packages, 'provides: the packages in lib';
is $meta->provides->{'Linux::Clone'}{version}, $version, 'with the version';

# ---- prerequisites ----

my ($perl) = slurp("$top/Makefile.PL") =~ /^use (5\.\d+);/m;
my $prereqs = $meta->effective_prereqs;
is $prereqs->requirements_for(qw(runtime requires))->requirements_for_module('perl'), $perl, "perl: Makefile.PL's";

# The modules that these files name, less those of the tree.
my %ours = map { $_ => 1 } map { Module::Metadata->new_from_file("$top/$_")->packages_inside } grep { /\.pm$/ } tracked();
sub used {
    my ($files) = @_;
    my %used;
    for my $file (grep { /$files/ && /\.(?:t|pm|pl|PL)$/ } tracked()) {
        my ($code) = split /^__END__$/m, slurp("$top/$file");
        # Hooked is a file that a test makes; what is in an eval on one line can be missing
        $used{$_} = 1 for grep { !$ours{$_} && $_ ne 'Hooked' }
            map { /eval \{/ ? () : /(?:^|[\s{])(?:use|require) ([A-Z]\w*(?:::\w+)*)\b(?=[ ;(])/g } split /\n/, $code;
    }
    return sort keys %used;
}

for (
    [ runtime   => qr{^lib/} ],
    # NewDistribution.pm is for authors of other modules
    [ configure => qr{^(?:Makefile\.PL|perlxs-rs/perl/PerlXS/MakeMaker\.pm)} ],
    [ test      => qr{^(?:t|examples|perlxs-rs/tests)/} ],
    [ develop   => qr{^xt/} ],
    )
{
    my ($phase, $files) = @$_;
    my %phases   = (develop => [qw(develop test configure runtime)], test => [qw(test configure runtime)]);
    my %declared = map { $_ => 1 } map { $prereqs->requirements_for($_, 'requires')->required_modules } @{ $phases{$phase} || [$phase] };
    # PerlXS::MakeMaker needs them for `make dist` only
    my %dist = map { $_ => 1 } $phase eq 'configure' ? qw(ExtUtils::Manifest JSON::PP Module::Metadata) : ();
    my @used = grep { !$dist{$_} } used($files);
    ok @used, "$phase: modules are used (@used)";
    is_deeply [ grep { !$declared{$_} } @used ], [], 'and declared';
}

done_testing;
