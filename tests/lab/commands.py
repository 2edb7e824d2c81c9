"""What the openstack client is told in both places, by service and person.

In braces are the names of ``Place``. What else the client does not know: ``until available volume
show X`` repeats the command until that is the status, ``until gone`` until it fails, and ``@id`` is
what the last command with JSON has shown as ``id``.
Those that change something come in the order of a life: make, show, change, delete.
"""

from __future__ import annotations

COMPUTE = """
server list -f csv
server list --all-projects -f csv
server list --deleted -f csv
server list --name {server_name} -f csv
server list --flavor m1.tiny --status ACTIVE --limit 1 -f csv
server list --host {host} -f csv
server list --project other -f csv
server show {server} -f json
server show {absent} -f json
server show no-such-server -f json
server show --diagnostics {server} -f json
server event list {server} -f csv
server event list {absent} -f csv
server event show {server} {absent} -f json
server volume list {server} -f csv
server migration list -f csv
server set --property colour=red {server}
server unset --property colour {server}
server set --name {server_name} {server}
server lock {server}
server unlock {server}
server start {server}
server resume {server}
server unshelve {server}
server restore {server}
server resize revert {server}
server evacuate {server}
server delete {absent}
server create --flavor no-such-flavor --image tiny-image {mark}
server create --flavor m1.tiny --image no-such-image {mark}
server create --flavor m1.tiny --image tiny-image --availability-zone no-such-zone {mark}
server add volume {server} {absent}
server remove volume {server} {absent}
server add security group {server} no-such-group
server group list -f csv
server group list --all-projects -f csv
server group create --policy affinity {mark} -f json
server group show {mark} -f json
server group show no-such-group -f json
server group delete {mark}
console log show {server}
console log show {absent}
console url show {server} -f json
console url show --spice {server} -f json
console url show --serial {server} -f json
console url show {absent} -f json
flavor list -f csv
flavor list --all --long -f csv
flavor list --private -f csv
flavor show m1.tiny -f json
flavor show no-such-flavor -f json
flavor create --ram 64 --vcpus 1 --disk 1 --private {mark} -f json
flavor create --ram 64 --vcpus 1 --disk 1 --id 1 {mark}-again -f json
flavor set --property a:b=c {mark}
flavor set --project {project} {mark}
flavor show {mark} -f json
flavor unset --project {project} {mark}
flavor unset --property a:b {mark}
flavor delete {mark}
keypair list -f csv
keypair list --user {user} -f csv
keypair create --public-key {public_key} {mark} -f json
keypair create --public-key {public_key} {mark} -f json
keypair create --public-key /dev/null {mark}-bad -f json
keypair show {mark} -f json
keypair show --public-key {mark}
keypair show no-such-key -f json
keypair delete {mark}
aggregate list -f csv
aggregate create --zone {mark}-zone --property a=b {mark} -f json
aggregate create {mark} -f json
aggregate show {mark} -f json
aggregate show no-such-aggregate -f json
aggregate set --property c=d {mark}
aggregate unset --property c {mark}
aggregate add host {mark} no-such-host -f json
aggregate remove host {mark} no-such-host -f json
aggregate delete {mark}
hypervisor list -f csv
hypervisor list --matching {hypervisor} -f csv
hypervisor show {hypervisor} -f json
hypervisor show no-such-hypervisor -f json
hypervisor stats show -f json
compute service list -f csv
compute service list --host {host} --service nova-compute -f csv
compute service set --enable {host} nova-compute
compute service set --enable no-such-host nova-compute
compute service set --disable --disable-reason why no-such-host nova-compute
compute service delete no-such-service
host list -f csv
host show {host} -f csv
quota show -f csv
quota show --default -f csv
quota show --compute -f csv
quota show {project} -f csv
limits show --absolute -f csv
limits show --absolute --project {project} -f csv
usage list -f csv
usage show -f json
usage show --project {project} -f json
availability zone list -f csv
availability zone list --compute -f csv
availability zone list --compute --long -f csv
"""
COMPUTE_NEW = """
server list --long -f csv
server list --tags {mark} -f csv
server list --locked -f csv
server list --marker {absent} -f csv
server show {server} -f json
server show --topology {server} -f json
server event list --long {server} -f csv
server migration list --server {server} -f csv
server migration show {server} 1 -f json
server set --tag {mark} {server}
server unset --tag {mark} {server}
server set --description why {server}
server lock --reason why {server}
server unlock {server}
server create --flavor m1.tiny --image tiny-image --nic none --key-name no-such-key {mark}
server create --flavor m1.tiny --image tiny-image --nic none --hostname no.such-name! {mark}
server evacuate {server}
server volume list {server} -f csv
server group create --policy anti-affinity --rule max_server_per_host=2 {mark} -f json
server group create --policy affinity --rule max_server_per_host=2 {mark}-bad -f json
server group show {mark} -f json
server group list --long --limit 1 -f csv
server group delete {mark}
flavor list --long -f csv
flavor create --ram 64 --vcpus 1 --disk 1 --description why {mark} -f json
flavor set --description more {mark}
flavor delete {mark}
keypair create --public-key {public_key} --type ssh {mark} -f json
keypair list --project {project} -f csv
keypair show --user {user} {mark} -f json
keypair delete {mark}
hypervisor list --long -f csv
hypervisor list --limit 1 -f csv
hypervisor show {hypervisor} -f json
hypervisor show {absent} -f json
compute service list --long -f csv
compute service set --up no-such-host nova-compute
compute service delete {absent}
"""
VOLUME = """
volume list -f csv
volume list --long -f csv
volume list --all-projects -f csv
volume list --name {volume_name} --status available --limit 1 -f csv
volume list --project {project} --user {user} -f csv
volume list --marker {absent} -f csv
volume show {volume} -f json
volume show {absent} -f json
volume show no-such-volume -f json
volume delete {absent}
volume create --size 1 --type no-such-type {mark}-bad -f json
volume create --size 1 --image no-such-image {mark}-bad -f json
volume create --source no-such-volume {mark}-bad -f json
volume create --snapshot {absent} {mark}-bad -f json
volume create {mark}-bad -f json
volume create --size 1 --availability-zone {zone} --property a=b --description why {mark} -f json
until available volume show {mark} -f json
volume set --property c=d --image-property e=f {mark}
volume unset --property c --image-property e {mark}
volume set --read-only {mark}
volume set --read-write --bootable --description more {mark}
volume set --non-bootable {mark}
volume set --type __DEFAULT__ {mark}
volume set --type no-such-type {mark}
volume set --state available {mark}
volume set --size 1 {mark}
volume set --size 2 {mark}
until available volume show {mark} -f json
volume migrate --host no-such-host {mark}
volume migrate --host {volume_host}#files {volume}
volume snapshot create --volume {mark} --property a=b {mark} -f json
until available volume snapshot show {mark} -f json
volume snapshot create --volume no-such-volume {mark}-bad -f json
volume snapshot list -f csv
volume snapshot list --long --all-projects -f csv
volume snapshot list --volume {mark} --status available -f csv
volume snapshot show {absent} -f json
volume snapshot set --property c=d --description more {mark}
volume snapshot unset --property c {mark}
volume snapshot set --state available {mark}
volume delete {mark}
volume create --snapshot {mark} --availability-zone {zone} {mark}-copy -f json
until available volume show {mark}-copy -f json
volume delete {mark}-copy
volume backup create --name {mark} {mark} -f json
until available volume backup show {mark} -f json
volume backup create --name {mark}-bad no-such-volume -f json
volume backup list -f csv
volume backup list --long --all-projects -f csv
volume backup list --volume {mark} --status available -f csv
volume backup show {absent} -f json
volume backup set --state available {mark}
volume backup record export {mark} -f json
volume backup record import cinder.backup.drivers.none bm90aGluZw== -f json
volume backup restore --force {mark} {mark} -f json
until available volume show {mark} -f json
until available volume backup show {mark} -f json
volume backup delete {mark}
until gone volume backup show {mark} -f json
volume backup delete {absent}
volume snapshot delete {mark}
until gone volume snapshot show {mark} -f json
volume snapshot delete {absent}
volume transfer request create --name {mark} {mark} -f json
volume transfer request create --name {mark}-again {mark} -f json
volume transfer request list -f csv
volume transfer request list --all-projects -f csv
volume transfer request show {mark} -f json
volume transfer request show {absent} -f json
volume transfer request accept --auth-key wrong {absent} -f json
volume transfer request show {mark} -f json
volume transfer request accept --auth-key wrong @id -f json
volume transfer request delete {absent}
volume transfer request delete @id
volume delete {mark}
until gone volume show {mark} -f json
volume set --name {volume_name} {volume}
volume snapshot show {snapshot} -f json
volume snapshot set --name {volume_name} {snapshot}
volume backup show {backup} -f json
volume type list -f csv
volume type list --long --public -f csv
volume type list --private -f csv
volume type list --default -f csv
volume type list --encryption-type -f csv
volume type create --private --property a=b --encryption-provider luks \
--encryption-cipher aes-xts-plain64 --encryption-key-size 256 \
--encryption-control-location front-end {mark} -f json
volume type create {mark} -f json
volume type create --private --project {project} --description why {mark}-mine -f json
volume type show {mark} -f json
volume type show --encryption-type {mark} -f json
volume type show {mark}-mine -f json
volume type show no-such-type -f json
volume type set --property c=d --encryption-key-size 128 {mark}
volume type set --project {project} {mark}
volume type set --project {project} {mark}
volume type unset --project {project} --property c {mark}
volume type unset --project {project} {mark}
volume type set --name {mark}-mine {mark}
volume type unset --encryption-type {mark}
volume qos create --consumer back-end --property a=b {mark} -f json
volume qos create {mark} -f json
volume qos list -f csv
volume qos set --property c=d {mark}
volume qos unset --property c {mark}
volume qos associate {mark} {mark}
volume qos show {mark} -f json
volume qos show no-such-qos -f json
volume qos delete {mark}
volume qos disassociate --volume-type {mark} {mark}
volume qos disassociate --all {mark}
volume qos delete --force {mark}
volume type delete {mark}
volume type delete {mark}-mine
volume type delete no-such-type
volume type delete __DEFAULT__
volume service list -f csv
volume service list --long --host {volume_host} --service cinder-volume -f csv
volume service set --enable {volume_host} cinder-volume
volume service set --enable no-such-host cinder-volume
volume service set --disable --disable-reason why no-such-host cinder-volume
volume host set --enable {volume_host}
volume host set --enable no-such-host
volume host failover --volume-backend there no-such-host
volume backend pool list -f csv
volume backend pool list --long -f csv
volume backend capability show {volume_host} -f csv
volume backend capability show no-such-host -f csv
consistency group list --long -f csv
consistency group show no-such-group -f json
consistency group snapshot list --long -f csv
consistency group snapshot show no-such-snapshot -f json
volume summary -f json
quota show --volume -f csv
quota show --volume --default -f csv
quota show --volume --usage {project} -f csv
limits show --rate -f csv
availability zone list --volume -f csv
availability zone list --volume --long -f csv
extension list --volume -f csv
"""
VOLUME_NEW = """
volume list --long -f csv
volume show {volume} -f json
volume summary -f json
volume summary --all-projects -f json
volume revert {snapshot}
volume create --size 1 --availability-zone {zone} {mark} -f json
until available volume show {mark} -f json
volume create --backup {absent} {mark}-bad -f json
volume set --size 2 {mark}
until available volume show {mark} -f json
volume backup create --name {mark} --availability-zone {zone} {mark} -f json
until available volume backup show {mark} -f json
volume backup set --name {mark}-more --description why --property a=b {mark}
volume backup unset --property a {mark}-more
volume backup list --long -f csv
volume create --backup {mark}-more --size 2 --availability-zone {zone} {mark}-copy -f json
until available volume show {mark}-copy -f json
volume delete {mark}-copy
volume backup delete {mark}-more
until gone volume backup show {mark}-more -f json
volume transfer request create --no-snapshots --name {mark} {mark} -f json
volume transfer request delete @id
volume attachment create --server {absent} {mark} -f json
volume attachment create --server {server} {mark} -f json
volume attachment show @ID -f json
volume attachment set --host {host} --initiator iqn --ip 127.0.0.1 @ID -f json
volume attachment complete @ID
volume attachment delete @ID
until available volume show {mark} -f json
volume attachment list -f csv
volume attachment list --all-projects --status reserved -f csv
volume attachment show {absent} -f json
volume attachment set --host {host} {absent} -f json
volume attachment complete {absent}
volume attachment delete {absent}
volume delete --cascade {mark}
volume message list -f csv
volume message list --project {project} -f csv
volume message show {absent} -f json
volume message delete {absent}
volume type list --property a=b -f csv
volume type list --multiattach -f csv
volume group type list -f csv
volume group type list --default -f csv
volume group type show {group_type} -f json
volume group type show no-such-type -f json
volume group type create --description why {mark} -f json
volume group type create {mark} -f json
volume group type set --description more --property a=b {mark} -f json
volume group type set --no-property {mark} -f json
volume group type show {mark} -f json
volume group type delete {mark}
volume group type delete no-such-type
volume group create --volume-group-type {group_type} --volume-type no-such-type -f json
volume group create --volume-group-type no-such-type --volume-type __DEFAULT__ -f json
volume group create --volume-group-type {group_type} --volume-type __DEFAULT__ \
--availability-zone {zone} --name {mark} -f json
until available volume group show {mark} -f json
volume group list -f csv
volume group list --all-projects -f csv
volume group show --volumes {mark} -f json
volume group show no-such-group -f json
volume group set --name {mark}-more --description why {mark} -f json
volume group set --enable-replication {mark}-more -f json
volume group failover {mark}-more
volume group add volume {mark}-more {volume}
until available volume group show {mark}-more -f json
volume group snapshot create --name {mark} {mark}-more -f json
until available volume group snapshot show {mark} -f json
volume group snapshot list -f csv
volume group snapshot list --all-projects -f csv
volume group snapshot show no-such-snapshot -f json
volume group delete {mark}-more
volume group snapshot delete {mark}
until gone volume group snapshot show {mark} -f json
volume group remove volume {mark}-more {volume}
until available volume group show {mark}-more -f json
volume group delete {mark}-more
until gone volume group show {mark}-more -f json
block storage cluster list --long -f csv
block storage cluster show no-such-cluster -f json
block storage cluster set --disable --disable-reason why no-such-cluster
block storage resource filter list -f csv
block storage resource filter show volume -f json
block storage resource filter show no-such-resource -f json
block storage log level list --host {volume_host} --service cinder-volume \
--log-prefix cinder.volume.api -f csv
block storage log level set --host no-such-host --service cinder-volume INFO
block storage volume manageable list no-such-host -f csv
block storage snapshot manageable list --long no-such-host -f csv
volume service list --long -f csv
"""
VOLUME_TOLD = """
volume type create --property volume_backend_name=nowhere {mark} -f json
volume create --size 1 --type {mark} --availability-zone {zone} {mark} -f json
until error volume show {mark} -f json
volume message list -f csv
volume message list -f json
volume message show @ID -f json
volume message delete @ID
volume message show @ID -f json
volume delete {mark}
until gone volume show {mark} -f json
volume type delete {mark}
"""
"""What leaves a message, of which only an administrator has the means."""
VOLUME_REFUSED = """
volume create --source {volume} {mark}-bad -f json
volume set --size 2 {volume}
volume set --property c=d {volume}
volume unset --property c {volume}
volume set --state error {volume}
volume revert {snapshot}
volume snapshot set --property c=d {snapshot}
volume backup create --name {mark} {volume} -f json
volume backup restore {backup} -f json
volume backup record export {backup} -f json
volume snapshot create --volume {volume} --force {mark}-bad -f json
volume transfer request create {volume} -f json
volume delete --force {volume}
volume snapshot delete {snapshot}
volume backup delete {backup}
"""
"""What neither a reader nor a member of another project may do to what somebody else has made."""
REFUSED = """
quota set --instances 3 {project}
quota set --volumes 3 {project}
quota delete --compute {project}
quota delete --volume {project}
quota list --compute -f csv
"""
"""What no administrator tries: four would change the lab, and the list is of all projects, of which
one that goes away meanwhile is an error of the client's."""
